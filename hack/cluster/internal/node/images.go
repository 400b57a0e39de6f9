package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/image"
	"workorders.dev/operator/hack/cluster/internal/screen"
)

// Load imports a tarball of images into the node, for Pods to use by the names in it.
func Load(ctx context.Context, show *screen.Screen, l Layout, file string) error {
	owner, err := host.ReadOwner()
	if err != nil {
		return err
	}
	if !owner.Has(l.State) || !componentNamed("containerd").alive() {
		return errors.New("there is no node to load an image into; run `up` first")
	}
	phase := show.Start("loading %s", filepath.Base(file))
	names, err := importImages(ctx, file)
	if err != nil {
		phase.Fail()
		return err
	}
	phase.Done("loaded %s", strings.Join(names, ", "))
	return nil
}

func importImages(ctx context.Context, file string) ([]string, error) {
	output, err := exec.CommandContext(ctx, host.FindProgram("ctr"), ctrArgs("images", "import", file)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("containerd does not take %s, which should be a tarball as `image` and `docker save` write them: %s", file, strings.TrimSpace(string(output)))
	}
	var names []string
	for line := range strings.Lines(string(output)) {
		// unpacking NAME (DIGEST)...done
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "unpacking" {
			names = append(names, fields[1])
		}
	}
	return names, nil
}

// loadPause makes and imports the image that every Pod needs, unless the node has it.
func loadPause(ctx context.Context, l Layout, module string) error {
	listed, err := exec.CommandContext(ctx, host.FindProgram("ctr"), ctrArgs("images", "list", "--quiet", "name=="+pauseImage)...).Output()
	if err == nil && strings.TrimSpace(string(listed)) == pauseImage {
		return nil
	}
	file := l.config("pause.tar")
	err = image.Build(ctx, image.Spec{Package: filepath.Join(module, "pause"), Name: pauseImage, Out: file, User: "65535"})
	if err != nil {
		return err
	}
	_, err = importImages(ctx, file)
	return err
}
