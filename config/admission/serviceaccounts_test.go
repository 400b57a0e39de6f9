package admission

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// People who may do with orders what they like. One of them may use the ServiceAccount coder, one impersonate it.
const (
	jane, userOfCoder, impersonator = "jane", "user-of-coder", "impersonator"

	refusesAccount = "You may not use the ServiceAccount "
)

// person is a client of somebody who may do only what RBAC lets them.
func person(t *testing.T, config *rest.Config, name string) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// allow lets people do something, by a role of that name.
func allow(t *testing.T, asAdmin client.Client, name string, rule rbacv1.PolicyRule, people ...string) {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: []rbacv1.PolicyRule{rule}}
	binding := &rbacv1.RoleBinding{ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}}
	for _, who := range people {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: who})
	}
	for _, object := range []client.Object{role, binding} {
		if err := asAdmin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually tries until it succeeds: the API server takes up a role or a policy a moment after it is stored.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not so after 30 s: %v", err)
		}
	}
}

// orderAs is an order whose steps have the rights of a ServiceAccount; none is named if it is "-".
func orderAs(name, account string) *unstructured.Unstructured {
	order := newOrder(name)
	if account != "-" {
		if err := unstructured.SetNestedField(order.Object, account, "spec", "pod", "serviceAccountName"); err != nil {
			panic(err)
		}
	}
	return order
}

// accountTrial is one request about an order with a ServiceAccount, and whether it must be refused.
type accountTrial struct {
	what, who, account string
	stored             bool
	try                request
	refused            bool
}

func accountTrials() []accountTrial {
	const mount = `{"spec":{"pod":{"serviceAccountName":"coder","automountServiceAccountToken":true}}}`
	return []accountTrial{
		{"who may use it names it", userOfCoder, "coder", false, create, false},
		{"who may impersonate it names it", impersonator, "coder", false, create, false},
		{"who may not names it", jane, "coder", false, create, true},
		{"who may use another one names it", userOfCoder, "mighty", false, create, true},
		{"nobody is named", jane, "-", false, create, false},
		{"nothing is named", jane, "", false, create, false},
		{"the default is named", jane, "default", false, create, false},
		{"an order is given it", jane, "-", true, merge(`{"spec":{"pod":{"serviceAccountName":"coder"}}}`), true},
		{"a step is added to what it does", jane, "coder", true, merge(`{"spec":{"steps":[{"name":"other","wait":{"seconds":1}}]}}`), true},
		{"finally is added to what it does", jane, "coder", true, merge(`{"spec":{"finally":[{"name":"other","wait":{"seconds":1}}]}}`), true},
		{"a param is added to what it does", jane, "coder", true, merge(`{"spec":{"params":[{"name":"request","value":"rm -rf /"}]}}`), true},
		{"the order of its steps is changed", jane, "coder", true, merge(`{"spec":{"strategy":"Graph"}}`), true},
		{"its Pods are given the token", jane, "coder", true, merge(mount), true},
		{"its Pods are given the token by who may use it", userOfCoder, "coder", true, merge(mount), false},
		{"it is suspended", jane, "coder", true, merge(`{"spec":{"suspend":true}}`), false},
		{"it is cancelled", jane, "coder", true, merge(`{"spec":{"cancel":true}}`), false},
		{"it is rewound", jane, "coder", true, merge(`{"spec":{"rewinds":[{"step":"classify","toEpoch":2}]}}`), false},
		{"it is labelled", jane, "coder", true, merge(`{"metadata":{"labels":{"seen":"yes"}}}`), false},
		{"it is taken away", jane, "coder", true, merge(`{"spec":{"pod":{"serviceAccountName":null},"steps":[{"name":"other","wait":{"seconds":1}}]}}`), false},
	}
}

func TestAnOrderNamesOnlyAServiceAccountThatItsAuthorMayUse(t *testing.T) {
	config := startServer(t)
	asAdmin := admin.client(t, config)
	orders := rbacv1.PolicyRule{APIGroups: []string{"workorders.dev"}, Resources: []string{"workorders"}, Verbs: []string{"*"}}
	allow(t, asAdmin, "orders", orders, userOfCoder, impersonator, jane)
	coder := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"coder"}, Verbs: []string{"use"}}
	allow(t, asAdmin, "coder-use", coder, userOfCoder)
	coder.Verbs = []string{"impersonate"}
	allow(t, asAdmin, "coder-impersonate", coder, impersonator)
	for _, who := range []string{userOfCoder, impersonator} {
		eventually(t, func() error {
			return person(t, config, who).Create(t.Context(), orderAs("probe", "coder"), client.DryRunAll)
		})
	}
	eventually(t, func() error {
		err := person(t, config, jane).Create(t.Context(), orderAs("probe", "coder"), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), refusesAccount) {
			return fmt.Errorf("the policy is not in force: %w", cmp.Or(err, errors.New("it was allowed")))
		}
		return nil
	})
	for i, trial := range accountTrials() {
		t.Run(trial.what, func(t *testing.T) {
			order := orderAs(fmt.Sprintf("trial-%d", i), trial.account)
			if trial.stored {
				if err := asAdmin.Create(t.Context(), order); err != nil {
					t.Fatalf("cannot set the scene: %v", err)
				}
			}
			err := trial.try(t.Context(), person(t, config, trial.who), order)
			switch {
			case !trial.refused && err != nil:
				t.Errorf("refused: %v", err)
			case trial.refused && err == nil:
				t.Error("allowed")
			case trial.refused && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), refusesAccount)):
				t.Errorf("refused for another reason: %v", err)
			}
		})
	}
}
