package commands

import (
	"fmt"
	"io"
	"os"

	"workorders.dev/operator/cmd/kubectl-workorder/manifest"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
)

// maxFile is the largest file that is read: orders are 256 KiB at most.
const maxFile = 16 << 20

// read reads the work orders of a file; "-" is the standard input.
func (t *tool) read(name string) ([]*manifest.Document, error) {
	if name == "" {
		return nil, usagef("name the file with -f, or - for the standard input")
	}
	in := t.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d MiB: split it", maxFile>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", timeline.Safe(name), err)
	}
	documents, others, err := manifest.Read(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %s", timeline.Safe(name), timeline.Line(err.Error()))
	case len(documents) == 0 && others > 0:
		return nil, fmt.Errorf("%s holds no WorkOrder, but %d other objects: name another file", timeline.Safe(name), others)
	case len(documents) == 0:
		return nil, fmt.Errorf("%s is empty: name a file with a WorkOrder", timeline.Safe(name))
	}
	return documents, nil
}

// one is the only order of a file.
func (t *tool) one(name string) (*manifest.Document, error) {
	documents, err := t.read(name)
	if err != nil {
		return nil, err
	}
	if len(documents) > 1 {
		return nil, fmt.Errorf("%s holds %d work orders, and one is wanted: split it", timeline.Safe(name), len(documents))
	}
	return documents[0], nil
}
