// Package charts holds the Helm chart, and the test that it installs what config does.
package charts

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// objects are those of a manifest, by kind, namespace and name.
func objects(t *testing.T, manifest []byte) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := documents.Decode(object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) == 0 {
			continue
		}
		id := strings.Join([]string{object.GetKind(), object.GetNamespace(), object.GetName()}, " ")
		if all[id] != nil {
			t.Errorf("%s is there twice", id)
		}
		all[id] = object
	}
}

func rendered(t *testing.T, values string) map[string]*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", values+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, content)
}

// bare is an object without what Helm alone puts on it, or what has to have another name there.
func bare(t *testing.T, object *unstructured.Unstructured) any {
	t.Helper()
	object.SetLabels(nil)
	object.SetAnnotations(nil)
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ helm, here string }{
		{`"app.kubernetes.io/instance":"[^"]*",?`, ""},
		{`"workorders.dev/operator:[^"]*"`, `"workorders.dev/operator"`},
		{`workorder-operator-written-by-operator`, `workorders-written-by-operator`},
		{`workorder-(operator-)?(viewer|editor)"`, `workorder-$2"`},
		{`,?"imagePullPolicy":"IfNotPresent"`, ""}, // What Kubernetes makes of a tag.
		{`(\\n)+`, `\n`}, // How a long line is folded means nothing.
	} {
		text = regexp.MustCompile(of.helm).ReplaceAll(text, []byte(of.here))
	}
	var same any
	if err := json.Unmarshal(text, &same); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return same
}

func TestTheChartInstallsWhatConfigDoes(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../config/default")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	byKustomize, byHelm := map[string]any{}, map[string]any{}
	for id, object := range objects(t, manifest) {
		// The chart's CRDs are copies, and helm makes the namespace itself.
		if kind := object.GetKind(); kind != "CustomResourceDefinition" && kind != "Namespace" {
			byKustomize[short(id)] = bare(t, object)
		}
	}
	for id, object := range rendered(t, "default") {
		if object.GetAnnotations()["helm.sh/hook"] == "" {
			byHelm[short(id)] = bare(t, object)
		}
	}
	if diff := cmp.Diff(byKustomize, byHelm); diff != "" {
		t.Errorf("config (-) and chart (+) differ:\n%s", diff)
	}
}

// short is what an object is called in both.
func short(id string) string {
	id = strings.Replace(id, "workorder-operator-written-by-operator", "workorders-written-by-operator", 1)
	return regexp.MustCompile(`workorder-operator-(viewer|editor)$`).ReplaceAllString(id, "workorder-$1")
}

// Several releases can share a cluster: none of its objects has a name that another one has too, but for the kinds.
func TestNoNameIsTheSameInAnotherRelease(t *testing.T) {
	one, other := rendered(t, "default"), rendered(t, "everything")
	for id := range one {
		if other[id] != nil {
			t.Errorf("%s is part of both", id)
		}
	}
}

func TestForSomeNamespacesNothingIsGivenOrGuardedElsewhere(t *testing.T) {
	teams := []string{"team-a", "team-b"}
	bound, guarded := []string{}, 0
	for id, object := range rendered(t, "namespaced") {
		role, _, _ := unstructured.NestedString(object.Object, "roleRef", "name")
		switch kind := object.GetKind(); {
		case kind == "RoleBinding" && role == "workorder-operator":
			bound = append(bound, object.GetNamespace())
		case kind == "ClusterRoleBinding" && role != "workorder-operator-webhook":
			t.Errorf("%s gives rights everywhere", id)
		case kind == "ValidatingWebhookConfiguration" || kind == "ValidatingAdmissionPolicyBinding":
			text, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte(`"key":"kubernetes.io/metadata.name","operator":"In","values":["team-a","team-b"]`)) {
				t.Errorf("%s is about other namespaces too: %s", id, text)
			}
			guarded++
		}
	}
	slices.Sort(bound)
	if !slices.Equal(bound, teams) || guarded != 2 {
		t.Errorf("rights in %v, %d guards", bound, guarded)
	}
}

// The images of the chart can be taken from anywhere, and nothing in it comes from elsewhere.
func TestImagesAreThoseThatValuesName(t *testing.T) {
	for _, values := range []string{"default", "everything", "namespaced", "bare"} {
		for id, object := range rendered(t, values) {
			text, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, image := range regexp.MustCompile(`"image":"([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
				if !regexp.MustCompile(`^(workorders\.dev/(operator|kubectl-workorder)|images\.example/(operator|plugin))[:@]`).MatchString(image[1]) {
					t.Errorf("%s: %s has the image %s", values, id, image[1])
				}
			}
		}
	}
}

// Every value that can be set is in values.yaml, or the schema would refuse what the chart itself says.
func TestSchemaAndValuesHaveTheSameNames(t *testing.T) {
	content, err := os.ReadFile("workorder-operator/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile("workorder-operator/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Properties           map[string]json.RawMessage
		AdditionalProperties json.RawMessage
	}
	var compare func(path string, raw json.RawMessage, value any)
	compare = func(path string, raw json.RawMessage, value any) {
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		set, isMap := value.(map[string]any)
		if s.Properties == nil {
			return // A value, or whatever Kubernetes takes.
		}
		if !isMap || string(s.AdditionalProperties) != "false" {
			t.Errorf("%s takes names that nobody knows", path)
		}
		for name, of := range s.Properties {
			if _, found := set[name]; !found && path+name != "global" { // Helm's own.
				t.Errorf("%s%s is in the schema, and values.yaml has no default for it", path, name)
			}
			compare(path+name+".", of, set[name])
		}
		for name := range set {
			if s.Properties[name] == nil {
				t.Errorf("%s%s is in values.yaml, and the schema refuses it", path, name)
			}
		}
	}
	compare("", content, values)
}
