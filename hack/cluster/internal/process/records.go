package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Save writes the record into a folder, under the name of the component.
func (r Record) Save(dir string) error {
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, r.Name+".json")
	if err := os.WriteFile(file+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Load reads the record of a component; it is empty, and not alive, if there is none.
func Load(dir, name string) (Record, error) {
	record := Record{Name: name}
	content, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return record, nil
	}
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(content, &record); err != nil {
		return Record{Name: name}, fmt.Errorf("%s is damaged; stop process by hand if it runs, and remove the file: %w", filepath.Join(dir, name+".json"), err)
	}
	return record, nil
}

// Forget removes the record of a component that has ended.
func Forget(dir, name string) error {
	err := os.Remove(filepath.Join(dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
