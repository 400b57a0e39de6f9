package reliability

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// change replaces a piece of the operator's source, which must be there exactly once.
type change struct {
	file, from, to string
}

// changed are the files of the source that the changes are about, as they are then.
func changed(changes []change) (map[string]string, error) {
	contents := map[string]string{}
	for _, c := range changes {
		file, err := filepath.Abs(filepath.Join("../..", c.file))
		if err != nil {
			return nil, err
		}
		if _, begun := contents[file]; !begun {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			contents[file] = string(content)
		}
		if found := strings.Count(contents[file], c.from); found != 1 {
			return nil, fmt.Errorf("%s has this %d times, and not once; say anew in the test what is to be changed:\n%s", c.file, found, c.from)
		}
		contents[file] = strings.Replace(contents[file], c.from, c.to, 1)
	}
	return contents, nil
}

// buildVariant builds an operator whose source is changed so, and returns its file in that folder.
func buildVariant(ctx context.Context, directory string, changes ...change) (string, error) {
	overlay, err := overlaid(directory, changes)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(directory, "operator")
	said, err := exec.CommandContext(ctx, "go", "build", overlay, "-o", binary, "workorders.dev/operator").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build a changed operator: %w\n%s", err, said)
	}
	return binary, nil
}

// overlaid is the argument by which the compiler takes the source to be changed so. The sources themselves stay as they are.
func overlaid(directory string, changes []change) (string, error) {
	contents, err := changed(changes)
	if err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, content := range contents {
		overlay.Replace[file] = filepath.Join(directory, fmt.Sprintf("%d-%s", len(overlay.Replace), filepath.Base(file)))
		if err := os.WriteFile(overlay.Replace[file], []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	encoded, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(directory, "overlay.json")
	return "-overlay=" + list, os.WriteFile(list, encoded, 0o600)
}
