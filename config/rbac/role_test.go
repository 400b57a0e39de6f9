// Package rbac holds what the operator may do, and the test that nobody lets it do more.
package rbac

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/hack/reliability/report"
)

// operator is the ServiceAccount that the operator runs as.
const operator = "workorders-system/workorder-operator"

// part is the rights that one feature of the operator takes, in all namespaces or in the operator's own.
type part struct {
	feature string
	where   string // "everywhere", or a namespace
	rights  []right
}

// right is what may be done to a kind of object, or to a single one of them (resource and name), the file that does it,
// and what for.
type right struct {
	verb, group, resource string
	file, why             string
}

// golden is all that the operator may do. A feature that takes a right adds a part of its own, in which each line says
// what it is for.
var golden = []part{
	{"core", "everywhere", []right{
		{"get", "workorders.dev", "workorders", "controllers/act.go", "is the order still the one in hand? Asked of the API server itself"},
		{"list", "workorders.dev", "workorders", "controllers/workorder_controller.go", "the cache begins with a list"},
		{"watch", "workorders.dev", "workorders", "controllers/workorder_controller.go", "an order that is submitted, edited or deleted is noticed"},
		{"patch", "workorders.dev", "workorders/status", "controllers/save.go", "a transition is saved"},
		{"create", "workorders.dev", "progressevents", "controllers/record.go", "a transition is written down"},
		{"get", "workorders.dev", "progressevents", "controllers/record.go", "is an event that exists this very one, whose reply was lost?"},
		{"create", "", "pods", "controllers/pods.go", "a step starts"},
		{"get", "", "pods", "controllers/pods.go", "is there such a Pod? Asked of the API server itself"},
		{"list", "", "pods", "controllers/observe.go", "the cache begins with a list"},
		{"watch", "", "pods", "controllers/workorder_controller.go", "the end of a Pod is noticed"},
		{"patch", "", "pods", "controllers/pods.go", "a Pod gets its deadline to stop it, and loses the finalizer when its result is saved"},
		{"delete", "", "pods", "controllers/pods.go", "a Pod without a node is stopped, and Pods go ten minutes after their order has finished"},
		{"create", "events.k8s.io", "events", "controllers/announce.go", "kubectl describe shows what happens"},
		{"patch", "events.k8s.io", "events", "controllers/announce.go", "an event that happens again is counted, not repeated"},
	}},
	{"time to live", "everywhere", []right{
		{"delete", "workorders.dev", "workorders", "controllers/act.go", "an order goes when its ttlSecondsAfterFinished are over"},
	}},
	{"workspace", "everywhere", []right{
		{"create", "", "persistentvolumeclaims", "controllers/workspace.go", "an order's steps share a volume"},
		{"get", "", "persistentvolumeclaims", "controllers/workspace.go", "is a claim of that name the order's own?"},
	}},
	{"webhook", "everywhere", []right{
		{"get", "admissionregistration.k8s.io", "validatingwebhookconfigurations workorder-operator-webhook", "controllers/admission/keeper.go", "whose certificates does the API server trust?"},
		{"list", "admissionregistration.k8s.io", "validatingwebhookconfigurations workorder-operator-webhook", "controllers/admission/keeper.go", "the cache of that one begins with a list"},
		{"watch", "admissionregistration.k8s.io", "validatingwebhookconfigurations workorder-operator-webhook", "controllers/admission/keeper.go", "somebody who applies it anew takes the trust away"},
		{"patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations workorder-operator-webhook", "controllers/admission/keeper.go", "the API server is told whom to trust"},
	}},
	{"webhook", "workorders-system", []right{
		{"get", "", "secrets workorder-operator-webhook", "controllers/admission/keeper.go", "the certificates that all replicas serve with"},
		{"list", "", "secrets workorder-operator-webhook", "controllers/admission/keeper.go", "the cache of that one begins with a list"},
		{"watch", "", "secrets workorder-operator-webhook", "controllers/admission/keeper.go", "another replica has renewed them"},
		{"patch", "", "secrets workorder-operator-webhook", "controllers/admission/keeper.go", "they are renewed"},
	}},
	{"metrics", "everywhere", []right{
		{"create", "authentication.k8s.io", "tokenreviews", "main.go", "who asks for the metrics?"},
		{"create", "authorization.k8s.io", "subjectaccessreviews", "main.go", "and may they have them?"},
	}},
	{"leader election", "workorders-system", []right{
		{"get", "coordination.k8s.io", "leases workorder-operator.workorders.dev", "main.go", "who leads?"},
		{"create", "coordination.k8s.io", "leases", "main.go", "somebody is the first to lead"},
		{"update", "coordination.k8s.io", "leases workorder-operator.workorders.dev", "main.go", "the lease is taken, renewed, and released at the end"},
		{"create", "", "events", "main.go", "a change of leader is told"},
		{"patch", "", "events", "main.go", "a change that is told again is counted"},
	}},
}

// never are rights that no feature may add, whatever for.
var never = []struct{ because, verb, group, resource string }{
	{"a wildcard is any right of tomorrow", "*", "", ""},
	{"a wildcard is any right of tomorrow", "", "*", ""},
	{"a wildcard is any right of tomorrow", "", "", "*"},
	{"it would run commands in other people's Pods", "", "", "pods/exec"},
	{"it would run commands in other people's Pods", "", "", "pods/attach"},
	{"it would reach into other people's Pods", "", "", "pods/portforward"},
	{"it would reach into other people's Pods", "", "", "pods/proxy"},
	{"it would put containers into other people's Pods", "", "", "pods/ephemeralcontainers"},
	{"it would read what steps are given in confidence", "", "", "secrets"},
	{"it would become another ServiceAccount", "", "", "serviceaccounts/token"},
	{"it would become another user", "impersonate", "", ""},
	{"it would give itself rights", "", "rbac.authorization.k8s.io", ""},
	{"it would give itself rights", "escalate", "", ""},
	{"it would give itself rights", "bind", "", ""},
	{"it would reach into nodes", "", "", "nodes/proxy"},
}

func (r right) String() string { return fmt.Sprintf("%s %s/%s", r.verb, r.group, r.resource) }

// rightsIn are the rights of a role, each verb, group and resource for itself.
func rightsIn(t *testing.T, role string, rules []rbacv1.PolicyRule) (rights []right) {
	t.Helper()
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			t.Errorf("%s: this test knows no URLs: teach it: %v", role, rule)
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if len(rule.ResourceNames) == 0 {
						rights = append(rights, right{verb: verb, group: group, resource: resource})
					}
					for _, name := range rule.ResourceNames {
						rights = append(rights, right{verb: verb, group: group, resource: resource + " " + name})
					}
				}
			}
		}
	}
	return rights
}

// manifests are all objects of a kind in the manifests that are installed.
func manifests[T any](t *testing.T, kind string) (objects []T) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, document := range bytes.Split(content, []byte("\n---\n")) {
			var head struct{ Kind string }
			if err := yaml.Unmarshal(document, &head); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if head.Kind != kind {
				continue
			}
			object := new(T)
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			objects = append(objects, *object)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// granted is what the manifests let the operator do, by where.
func granted(t *testing.T) map[string][]right {
	t.Helper()
	roles, all := map[string][]rbacv1.PolicyRule{}, map[string][]right{}
	for _, role := range manifests[rbacv1.ClusterRole](t, "ClusterRole") {
		roles["ClusterRole "+role.Name] = role.Rules
	}
	for _, role := range manifests[rbacv1.Role](t, "Role") {
		roles["Role "+role.Namespace+"/"+role.Name] = role.Rules
	}
	grant := func(where, role string, subjects []rbacv1.Subject) {
		for _, s := range subjects {
			if s.Kind != rbacv1.ServiceAccountKind || s.Namespace+"/"+s.Name != operator {
				t.Errorf("%s is given to %s %s/%s as well", role, s.Kind, s.Namespace, s.Name)
				continue
			}
			rules, found := roles[role]
			if !found {
				t.Errorf("%s is given to the operator, and nobody knows what it allows", role)
			}
			all[where] = append(all[where], rightsIn(t, role, rules)...)
		}
	}
	for _, binding := range manifests[rbacv1.ClusterRoleBinding](t, "ClusterRoleBinding") {
		grant("everywhere", "ClusterRole "+binding.RoleRef.Name, binding.Subjects)
	}
	for _, binding := range manifests[rbacv1.RoleBinding](t, "RoleBinding") {
		role := "Role " + binding.Namespace + "/" + binding.RoleRef.Name
		if binding.RoleRef.Kind == "ClusterRole" {
			role = "ClusterRole " + binding.RoleRef.Name
		}
		grant(binding.Namespace, role, binding.Subjects)
	}
	return all
}

// shown is rights, one a line, sorted.
func shown(rights []right) string {
	lines := make([]string, 0, len(rights))
	for _, r := range rights {
		lines = append(lines, r.String())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestTheOperatorMayDoWhatItNeedsAndNothingElse(t *testing.T) {
	began, rights := time.Now(), 0
	wanted := map[string][]right{}
	for _, p := range golden {
		wanted[p.where] = append(wanted[p.where], p.rights...)
		rights += len(p.rights)
	}
	given := granted(t)
	for where := range maps.Keys(given) {
		if wanted[where] == nil {
			t.Errorf("the operator has rights in %s, and no part of the list says why", where)
		}
	}
	for where, list := range wanted {
		if diff := cmp.Diff(shown(list), shown(given[where])); diff != "" {
			t.Errorf("what the operator may do %s is not what the list in this test says (-) but (+)\n%s", where, diff)
		}
	}
	notes := []string{"no wildcard, no exec, no Secrets but one by its name, no rights over rights"}
	for _, p := range golden {
		notes = append(notes, fmt.Sprintf("%s: %d", p.feature, len(p.rights)))
	}
	line := report.Line{Row: "S4", Harness: "unit", Cases: rights, Unit: "rights", Notes: notes, Full: report.Full()}
	if t.Failed() {
		line.Violations = 1
	}
	if err := line.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

func TestSomeRightsAreNeverGiven(t *testing.T) {
	for where, rights := range granted(t) {
		for _, r := range rights {
			for _, n := range never {
				if (n.verb == "" || n.verb == r.verb) && (n.group == "" || n.group == r.group) && (n.resource == "" || n.resource == r.resource) {
					t.Errorf("%s, %s: %s", r, where, n.because)
				}
			}
		}
	}
}

// TestEachRightIsUsedWhereTheListSays looks for the files, so that a right does not outlive what it was for.
func TestEachRightIsUsedWhereTheListSays(t *testing.T) {
	uses := map[string][]string{
		"workorders": {"WorkOrder"}, "workorders/status": {"Status().Patch"}, "progressevents": {"ProgressEvent"}, "pods": {"Pod"},
		"events": {"Eventf", "LeaderElection"}, "leases": {"LeaderElection"}, "persistentvolumeclaims": {"Workspace("},
		"tokenreviews": {"WithAuthenticationAndAuthorization"}, "subjectaccessreviews": {"WithAuthenticationAndAuthorization"},
		"secrets": {"corev1.Secret"}, "validatingwebhookconfigurations": {"ValidatingWebhookConfiguration"},
	}
	for _, p := range golden {
		for _, r := range p.rights {
			content, err := os.ReadFile(filepath.Join("../..", r.file))
			if err != nil {
				t.Errorf("%s: %v", r, err)
				continue
			}
			resource, _, _ := strings.Cut(r.resource, " ")
			if !slices.ContainsFunc(uses[resource], func(word string) bool { return bytes.Contains(content, []byte(word)) }) {
				t.Errorf("%s: %s has no business with %s", r, r.file, r.resource)
			}
			if r.why == "" {
				t.Errorf("%s: nobody says what for", r)
			}
		}
	}
}
