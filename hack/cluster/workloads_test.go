package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const probeImage = "workorders.dev/probe:test"

// workloads runs what the operator's own tests need of a cluster.
func (c cli) workloads() {
	c.loadProbe()
	shared := filepath.Join(c.scratch, "shared")
	if err := os.Mkdir(shared, 0o777); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(shared, 0o777); err != nil {
		c.t.Fatal(err)
	}
	c.mustKubectl(strings.NewReplacer("IMAGE", probeImage, "SHARED", shared).Replace(manifests), "apply", "-f", "-")
	c.mustKubectl("", "wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
	c.mustKubectl("", "wait", "job/job", "--for=condition=Complete", "--timeout=60s")

	c.expectLog("claim", "wrote /volume/file as 65532")
	c.expectLog("host-path", "wrote /volume/file as 65532")
	c.expectLog("account", "200 OK")
	if _, err := os.Stat(filepath.Join(shared, "file")); err != nil {
		c.t.Error(err)
	}
	c.runPod("client", "get", "http://10.213.128.80/")
	c.expectLog("client", "hello")
	if said := c.mustKubectl("", "exec", "server", "--", "/probe", "true"); !strings.Contains(said, "as 65532") {
		c.t.Errorf("exec: %s", said)
	}
	c.deadline()
	c.admission()
	c.eviction()
}

// runPod runs a Pod to its end, which must be a good one.
func (c cli) runPod(name string, args ...string) {
	c.t.Helper()
	began := time.Now()
	c.mustKubectl("", append([]string{"run", name, "--image=" + probeImage, "--restart=Never", "--"}, args...)...)
	if phase := c.phase(name); phase != "Succeeded" {
		c.t.Errorf("Pod %s: %s\n%s", name, phase, c.mustKubectl("", "describe", "pod", name))
	}
	c.t.Logf("Pod %s took %s", name, time.Since(began).Round(time.Millisecond))
}

func (c cli) expectLog(pod, want string) {
	c.t.Helper()
	phase := c.phase(pod)
	if said := c.mustKubectl("", "logs", pod); phase != "Succeeded" || !strings.Contains(said, want) {
		c.t.Errorf("Pod %s: %s: %q, want %q", pod, phase, said, want)
	}
}

// deadline ends a Pod as the operator does: it gets its grace period, and its log stays.
func (c cli) deadline() {
	c.t.Helper()
	c.mustKubectl("", "wait", "pod/sleeper", "--for=condition=Ready", "--timeout=60s")
	c.mustKubectl("", "patch", "pod", "sleeper", "-p", `{"spec":{"activeDeadlineSeconds":1}}`)
	if phase := c.phase("sleeper"); phase != "FailedDeadlineExceeded" {
		c.t.Errorf("a Pod past its deadline is %s", phase)
	}
	if said := c.mustKubectl("", "logs", "sleeper"); !strings.Contains(said, "asked to end") {
		c.t.Errorf("a Pod past its deadline has said %q", said)
	}
}

// admission tries what a hardened cluster refuses.
func (c cli) admission() {
	c.t.Helper()
	for _, refused := range []struct{ namespace, want string }{{"strict", "PodSecurity"}, {"full", "exceeded quota"}, {"policed", "ValidatingAdmissionPolicy"}} {
		deadline := time.Now().Add(15 * time.Second) // policies and quotas take a moment to be seen
		for {
			said, err := c.kubectl("", "run", fmt.Sprintf("p%d", time.Now().UnixNano()), "-n", refused.namespace, "--image="+probeImage, "--restart=Never")
			if err != nil && strings.Contains(said, refused.want) {
				break
			}
			if time.Now().After(deadline) {
				c.t.Errorf("a Pod in %s: %v: %s", refused.namespace, err, said)
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// eviction respects a budget, and a drained node takes Pods again.
func (c cli) eviction() {
	c.t.Helper()
	if said, err := c.kubectl("", "drain", "workorders", "--force", "--pod-selector=app=server", "--timeout=3s"); err == nil || !strings.Contains(said, "disruption budget") {
		c.t.Errorf("a drain ignores the disruption budget: %v: %s", err, said)
	}
	c.mustKubectl("", "delete", "pdb", "server")
	c.mustKubectl("", "drain", "workorders", "--force", "--timeout=60s")
	c.mustKubectl("", "uncordon", "workorders")
	c.mustKubectl("", "run", "server", "--image="+probeImage, "--", "serve")
	c.mustKubectl("", "wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
}

// loadProbe packs a program twice, into the same bytes, and loads it.
func (c cli) loadProbe() {
	c.t.Helper()
	dir := filepath.Join(c.scratch, "probe")
	if err := os.Mkdir(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	source, err := os.ReadFile("testdata/probe.go.txt")
	if err != nil {
		c.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"main.go": source, "go.mod": []byte("module probe\n\ngo 1.26.0\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	var contents []string
	for _, name := range []string{"one.tar", "two.tar"} {
		file := filepath.Join(c.scratch, name)
		c.must("image", "--package", dir, "--name", probeImage, "--out", file)
		content, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		contents = append(contents, string(content))
	}
	if contents[0] != contents[1] {
		c.t.Error("the same program makes different images")
	}
	c.must("load", filepath.Join(c.scratch, "one.tar"))
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

const manifests = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: claim}
spec:
  restartPolicy: Never
  volumes: [{name: volume, persistentVolumeClaim: {claimName: claim}}]
  containers:
  - name: probe
    image: IMAGE
    args: [write, /volume/file]
    volumeMounts: [{name: volume, mountPath: /volume}]
    securityContext:
      runAsNonRoot: true
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
---
apiVersion: v1
kind: Pod
metadata: {name: host-path}
spec:
  restartPolicy: Never
  volumes: [{name: volume, hostPath: {path: SHARED}}]
  containers: [{name: probe, image: IMAGE, args: [write, /volume/file], volumeMounts: [{name: volume, mountPath: /volume}]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec: {completions: 3, parallelism: 3, template: {spec: {restartPolicy: Never, containers: [{name: probe, image: IMAGE, args: ["true"]}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: account}
spec: {restartPolicy: Never, containers: [{name: probe, image: IMAGE, args: [api]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec: {restartPolicy: Never, terminationGracePeriodSeconds: 5, containers: [{name: probe, image: IMAGE, args: [sleep]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server, run: server}}
spec: {containers: [{name: probe, image: IMAGE, args: [serve]}]}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {clusterIP: 10.213.128.80, selector: {run: server}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: server}
spec: {minAvailable: 1, selector: {matchLabels: {app: server}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: strict, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: full}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: full}
spec: {hard: {pods: "0"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: policed}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-pods}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  validations: [{expression: "namespaceObject.metadata.name != 'policed'"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-pods}
spec: {policyName: no-pods, validationActions: [Deny]}
`
