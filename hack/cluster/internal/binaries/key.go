package binaries

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const kubernetesModule = "k8s.io/kubernetes"

// Version is the release of Kubernetes that a go.mod asks for.
func Version(goMod []byte) (string, error) {
	lines := bufio.NewScanner(bytes.NewReader(goMod))
	for lines.Scan() {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(fields) >= 2 && fields[0] == kubernetesModule && strings.HasPrefix(fields[1], "v") {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("hack/cluster/go.mod does not require %s; restore it", kubernetesModule)
}

// Key names what a build depends on: equal keys mean that the binary need not be built again.
func Key(moduleDir, version string) (string, error) {
	files, err := filepath.Glob(filepath.Join(moduleDir, "kubernetes", "*.go"))
	if err != nil {
		return "", err
	}
	files = append(files, filepath.Join(moduleDir, "go.mod"), filepath.Join(moduleDir, "go.sum"))
	slices.Sort(files)

	sum := sha256.New()
	fmt.Fprintln(sum, version, runtime.Version(), runtime.GOARCH, linkerFlags(version))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, filepath.Base(file), len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// linkerFlags leave out what debuggers need, and tell Kubernetes its version: clients cannot parse the one it
// has otherwise.
func linkerFlags(version string) string {
	const at = "k8s.io/component-base/version."
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return fmt.Sprintf("-s -w -X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", at, version, parts[0], parts[1])
}
