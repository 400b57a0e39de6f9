package steppod

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/report"
)

// What a step may not set, and why. Together with podFields, containerFields and volumeFields these are all fields that
// there are, so that one that Kubernetes adds is on no list and fails the test until somebody has thought about it.
var (
	withheldPodFields = map[string]string{
		"InitContainers":           "would be work of its own, with no result",
		"EphemeralContainers":      "cannot be set when a Pod is created",
		"DNSPolicy":                "nobody has needed it yet",
		"DNSConfig":                "nobody has needed it yet",
		"DeprecatedServiceAccount": "is serviceAccountName under its old name",
		"NodeName":                 "would go past the scheduler, and the Pod would never be without a node",
		"HostNetwork":              "reaches into the node",
		"HostPID":                  "reaches into the node",
		"HostIPC":                  "reaches into the node",
		"HostUsers":                "is about what reaches into the node",
		"ShareProcessNamespace":    "there is one container",
		"Hostname":                 "is the Pod's name, which is the operator's",
		"HostnameOverride":         "is the Pod's name, which is the operator's",
		"Subdomain":                "nothing connects to a step",
		"SetHostnameAsFQDN":        "nothing connects to a step",
		"SchedulerName":            "nobody has needed it yet",
		"Priority":                 "follows from priorityClassName",
		"PreemptionPolicy":         "follows from priorityClassName",
		"ReadinessGates":           "nothing connects to a step",
		"Overhead":                 "follows from runtimeClassName",
		"OS":                       "nobody has needed it yet",
		"SchedulingGates":          "the operator's: a gated Pod is one that never runs",
		"SchedulingGroup":          "a step is one Pod",
		"ResourceClaims":           "nobody has needed it yet",
		"Resources":                "there is one container, which has its own",
		"EvictionResponders":       "who decides on an eviction is not the step's to say",
	}
	withheldContainerFields = map[string]string{
		"Ports":                  "nothing connects to a step",
		"ResizePolicy":           "would run the container again behind the epoch's back",
		"RestartPolicy":          "would run the container again behind the epoch's back",
		"RestartPolicyRules":     "would run the container again behind the epoch's back",
		"VolumeDevices":          "nobody has needed it yet",
		"LivenessProbe":          "a step has timeoutSeconds",
		"ReadinessProbe":         "nothing connects to a step",
		"StartupProbe":           "a step has startTimeoutSeconds",
		"Lifecycle":              "would be work of its own, with no result",
		"TerminationMessagePath": "the output is where everybody looks for it",
		"Stdin":                  "nobody is there to type",
		"StdinOnce":              "nobody is there to type",
		"TTY":                    "nobody is there to look",
	}
	withheldVolumeFields = map[string]string{
		"HostPath":    "reaches into the node",
		"CSI":         "a driver may reach into the node",
		"FlexVolume":  "a driver may reach into the node",
		"GitRepo":     "was removed as it reaches into the node",
		"DownwardAPI": "projected has it",
	}
	// claimed are the kinds of storage that a PersistentVolumeClaim is there for.
	claimed = []string{
		"GCEPersistentDisk", "AWSElasticBlockStore", "NFS", "ISCSI", "Glusterfs", "RBD", "Cinder", "CephFS", "Flocker", "FC", "AzureFile",
		"VsphereVolume", "Quobyte", "AzureDisk", "PhotonPersistentDisk", "PortworxVolume", "ScaleIO", "StorageOS",
	}
)

func TestEveryFieldOfAPodIsEitherAStepsToSetOrWithheldForAReason(t *testing.T) {
	began, fields := time.Now(), 0
	for _, class := range []struct {
		object           any
		allowed, without []string
	}{
		{corev1.PodSpec{}, podFields, slices.Collect(maps.Keys(withheldPodFields))},
		{corev1.Container{}, containerFields, slices.Collect(maps.Keys(withheldContainerFields))},
		{corev1.VolumeSource{}, volumeFields, append(claimed, slices.Collect(maps.Keys(withheldVolumeFields))...)},
	} {
		kind := reflect.TypeOf(class.object)
		listed := append(slices.Clone(class.allowed), class.without...)
		for i := range kind.NumField() {
			fields++
			switch n := count(listed, kind.Field(i).Name); n {
			case 1:
			case 0:
				t.Errorf("%s.%s is new: decide whether a step may set it, and put it on a list", kind, kind.Field(i).Name)
			default:
				t.Errorf("%s.%s is on the lists %d times", kind, kind.Field(i).Name, n)
			}
		}
		if len(listed) != kind.NumField() {
			t.Errorf("%s has %d fields, and %d are listed: take those off that are gone", kind, kind.NumField(), len(listed))
		}
	}
	deep := strings.Count(fieldsInside(), " ")
	line := report.Line{Row: "S2", Harness: "unit", Cases: fields + deep, Unit: "fields", Full: report.Full(), Notes: []string{
		fmt.Sprintf("%d fields of Pod, container and volume, each allowed or withheld", fields), fmt.Sprintf("%d fields inside what is allowed", deep),
	}}
	if t.Failed() {
		line.Violations = 1
	}
	if err := line.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

func count(list []string, name string) (n int) {
	for _, other := range list {
		if other == name {
			n++
		}
	}
	return n
}

// TestNothingIsNewInsideWhatAStepMaySet holds against a list what the types of Kubernetes that an order takes whole are
// made of, as a field that is added inside one of them goes straight through to the Pod.
func TestNothingIsNewInsideWhatAStepMaySet(t *testing.T) {
	const file = "testdata/fields.txt"
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), fieldsInside()); diff != "" {
		t.Errorf("what an order can set has changed. If that is as it should be, write it into %s; if not, the API needs a type of its own there:\n%s", file, diff)
	}
}

// fieldsInside is every type that can be reached from an order's pod and run, with its fields, a line each.
func fieldsInside() string {
	lines := map[string]bool{}
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || writesItself(t) {
			return
		}
		line := t.PkgPath() + "." + t.Name() + ":"
		for i := range t.NumField() {
			line += " " + t.Field(i).Name
		}
		if lines[line] {
			return
		}
		lines[line] = true
		for i := range t.NumField() {
			visit(t.Field(i).Type)
		}
	}
	visit(reflect.TypeFor[v1alpha1.PodSettings]())
	visit(reflect.TypeFor[v1alpha1.Run]())
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n") + "\n"
}

// writesItself says whether a type is a value in JSON, and no object: a quantity, a time.
func writesItself(t reflect.Type) bool {
	value := reflect.New(t).Interface()
	_, asJSON := value.(json.Marshaler)
	_, asText := value.(encoding.TextMarshaler)
	return asJSON || asText
}
