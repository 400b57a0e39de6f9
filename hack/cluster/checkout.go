package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const modulePath = "workorders.dev/operator/hack/cluster"

// moduleDir is the folder of this module: the current one (as with `go -C hack/cluster run .`), or the one
// below a folder of the checkout.
func moduleDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		for _, candidate := range []string{dir, filepath.Join(dir, "hack", "cluster")} {
			if isModule(candidate) {
				return candidate, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the checkout of the operator")
		}
		dir = parent
	}
}

func isModule(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == "module "+modulePath {
			return true
		}
	}
	return false
}

// stateDir is where the cluster lives: as asked for, or .cluster at the root of the checkout.
func (t *tool) stateDir() (string, error) {
	if t.state != "" {
		state, err := filepath.Abs(t.state)
		return resolve(state), err
	}
	module, err := moduleDir()
	if err != nil {
		return "", err
	}
	return resolve(filepath.Join(module, "..", "..", ".cluster")), nil
}

// resolve follows links as far as the path exists: the kernel names what is mounted without them.
func resolve(path string) string {
	if plain, err := filepath.EvalSymlinks(path); err == nil {
		return plain
	}
	if parent := filepath.Dir(path); parent != path {
		return filepath.Join(resolve(parent), filepath.Base(path))
	}
	return path
}
