package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	k8syaml "sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
)

// Document is a work order as it stands in a file.
type Document struct {
	// Content is what stands there, whether it is in order or not.
	Content map[string]any
	// Line is where it begins.
	Line int
	root *yaml.Node
}

// Read reads the work orders of a file, which may hold other objects too: how many, is the second value.
func Read(data []byte) (documents []*Document, others int, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		node := &yaml.Node{}
		if err := decoder.Decode(node); errors.Is(err, io.EOF) {
			return documents, others, nil
		} else if err != nil {
			return nil, 0, fmt.Errorf("this is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(node.Content) == 0 || node.Content[0].Tag == "!!null" {
			continue // Between two lines of ---.
		}
		encoded, err := yaml.Marshal(node)
		if err != nil {
			return nil, 0, err
		}
		document := &Document{Line: node.Content[0].Line, root: node.Content[0]}
		if node.Content[0].Kind != yaml.MappingNode {
			return nil, 0, fmt.Errorf("line %d: this is no object of Kubernetes: it must have an apiVersion, a kind and a name", document.Line)
		}
		if err := k8syaml.UnmarshalStrict(encoded, &document.Content); err != nil {
			return nil, 0, fmt.Errorf("the object from line %d on cannot be read: %w", document.Line, err)
		}
		if document.Content["kind"] != "WorkOrder" {
			others++
			continue
		}
		documents = append(documents, document)
	}
}

// Order is the order, as far as it can be understood.
func (d *Document) Order() (*v1alpha1.WorkOrder, error) {
	order := &v1alpha1.WorkOrder{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(d.Content, order); err != nil {
		return nil, err
	}
	return order, nil
}

// Name is the order's name, or how it will be called.
func (d *Document) Name() string {
	object := unstructured.Unstructured{Object: d.Content}
	if name := object.GetName(); name != "" {
		return name
	}
	return object.GetGenerateName() + "…"
}

// at is the line of a field, such as spec.steps[3].run; of the nearest one around it, if it is not there.
func (d *Document) at(path string) int {
	node, line := d.root, d.Line
	for _, part := range split(path) {
		if node = child(node, part); node == nil {
			return line
		}
		line = node.Line
	}
	return line
}

// split cuts a path into names and indices: spec.steps[3] into spec, steps and 3.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

func child(node *yaml.Node, part string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == strings.Trim(part, `"`) {
				value := *node.Content[i+1]
				value.Line = node.Content[i].Line // A list stands below its name.
				return &value
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i]
		}
	default: // A value has no children.
	}
	return nil
}
