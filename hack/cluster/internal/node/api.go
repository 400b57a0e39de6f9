package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

// api is a client of the API server that can do the little this program needs; a real one would take longer to
// compile than everything else here.
type api struct {
	client *http.Client
}

// newAPI reads the kubeconfig that writeKubeconfig has written.
func newAPI(l Layout) (*api, error) {
	content, err := os.ReadFile(l.Kubeconfig())
	if err != nil {
		return nil, err
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				CA []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			}
		}
	}
	if err := json.Unmarshal(content, &config); err != nil || len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("%s is not as it was written; take the cluster down and up again", l.Kubeconfig())
	}
	pair, err := tls.X509KeyPair(config.Users[0].User.Certificate, config.Users[0].User.Key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.Clusters[0].Cluster.CA)
	transport := &http.Transport{ // without a proxy: this is the same machine
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		DisableKeepAlives: true,
	}
	return &api{client: &http.Client{Transport: transport, Timeout: askLimit}}, nil
}

func (a *api) get(ctx context.Context, path string, into any) error {
	return a.do(ctx, http.MethodGet, path, nil, into)
}

// apply makes an object be as it says here, whether it existed or not.
func (a *api) apply(ctx context.Context, path string, what object) error {
	return a.do(ctx, http.MethodPatch, path+"?fieldManager=cluster&force=true", what, nil)
}

func (a *api) do(ctx context.Context, method, path string, body object, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, localServer+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/apply-patch+yaml")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// nodeReady fails, with the kubelet's own reason, unless the node is ready for Pods.
func nodeReady(ctx context.Context, l Layout) error {
	api, err := newAPI(l)
	if err != nil {
		return err
	}
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := api.get(ctx, "/api/v1/nodes/"+Name, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if condition.Status == "True" {
			return nil
		}
		return fmt.Errorf("%s", condition.Message)
	}
	return fmt.Errorf("the kubelet has not said yet how it is")
}

// accountReady fails until Pods can be made in the default namespace: they need its service account.
func accountReady(ctx context.Context, l Layout) error {
	api, err := newAPI(l)
	if err != nil {
		return err
	}
	return api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
}

// storageClass serves claims from the machine's own disk.
var storageClass = object{
	"apiVersion": "storage.k8s.io/v1",
	"kind":       "StorageClass",
	"metadata": object{
		"name":        "host-path",
		"annotations": object{"storageclass.kubernetes.io/is-default-class": "true"},
	},
	"provisioner": "kubernetes.io/host-path",
}

func applyStorageClass(ctx context.Context, l Layout) error {
	api, err := newAPI(l)
	if err != nil {
		return err
	}
	return api.apply(ctx, "/apis/storage.k8s.io/v1/storageclasses/host-path", storageClass)
}
