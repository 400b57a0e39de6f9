package controllers

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// letReadOrders lets somebody read the orders and Pods of a namespace.
func letReadOrders(ctx context.Context, user, namespace string) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"workorders"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
	}}
	Expect(mgr.GetClient().Create(ctx, role)).To(Succeed())
	Expect(mgr.GetClient().Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}

var _ = Describe("An operator for some namespaces", func() {
	It("goes without those that it may not read, and begins anew when it may", func(ctx SpecContext) {
		config := rest.CopyConfig(mgr.GetConfig())
		config.Impersonate = rest.ImpersonationConfig{UserName: "operator-of-some"}
		api, err := client.New(config, client.Options{Scheme: mgr.GetScheme()})
		Expect(err).NotTo(HaveOccurred())
		ours, late := newNamespace(ctx), newNamespace(ctx)
		letReadOrders(ctx, config.Impersonate.UserName, ours)
		Eventually(ctx, func() bool { return mayRead(ctx, api, ours) }).WithTimeout(10 * time.Second).Should(BeTrue())
		readable, others := Readable(ctx, api, []string{late, ours, "gone"})
		Expect(readable).To(Equal([]string{ours}))
		Expect(others).To(Equal([]string{late, "gone"}))

		ended := make(chan error, 1)
		go func() { ended <- (&Latecomers{API: api, Namespaces: others, Every: 50 * time.Millisecond}).Start(ctx) }()
		Consistently(ended, "500ms").ShouldNot(Receive())
		letReadOrders(ctx, config.Impersonate.UserName, late)
		Eventually(ctx, ended).WithTimeout(10 * time.Second).Should(Receive(MatchError(ContainSubstring(late))))

		stopped, stop := context.WithCancel(ctx)
		stop()
		Expect((&Latecomers{API: api, Namespaces: []string{"gone"}, Every: time.Hour}).Start(stopped)).To(Succeed())
	})
})
