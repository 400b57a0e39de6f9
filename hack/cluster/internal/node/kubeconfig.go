package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// localServer is where clients on this machine find the API server.
var localServer = fmt.Sprintf("https://127.0.0.1:%d", apiServerPort)

// nodeServer is where it listens, and where everything in the cluster finds it.
var nodeServer = fmt.Sprintf("https://%s:%d", host.NodeAddress, apiServerPort)

// object is anything to be written as JSON, which every reader of YAML reads too.
type object = map[string]any

// writeKubeconfigs writes one for people, and one for each component.
func writeKubeconfigs(l Layout) error {
	if err := os.MkdirAll(l.path("config"), 0o700); err != nil {
		return err
	}
	for _, user := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"} {
		if err := writeKubeconfig(l, l.config(user+".kubeconfig"), user, nodeServer); err != nil {
			return err
		}
	}
	if err := writeKubeconfig(l, l.Kubeconfig(), "admin", localServer); err != nil {
		return err
	}
	return giveToCaller(l)
}

func writeKubeconfig(l Layout, path, user, server string) error {
	ca, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return err
	}
	certificate, err := os.ReadFile(l.pki(user + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(l.pki(user + ".key"))
	if err != nil {
		return err
	}
	return writeJSON(path, object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": Name,
		"contexts":        []object{{"name": Name, "context": object{"cluster": Name, "user": user}}},
		"clusters":        []object{{"name": Name, "cluster": object{"server": server, "certificate-authority-data": ca}}},
		"users":           []object{{"name": user, "user": object{"client-certificate-data": certificate, "client-key-data": key}}},
	})
}

// giveToCaller lets who called sudo read the kubeconfig, and put things beside it.
func giveToCaller(l Layout) error {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil {
		return nil
	}
	gid, err := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err != nil {
		return nil
	}
	return errors.Join(os.Chown(l.State, uid, gid), os.Chown(l.Kubeconfig(), uid, gid))
}

func writeJSON(path string, content any) error {
	encoded, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(encoded, '\n'))
}

// writeFile leaves a file alone that is as it should be: kube-proxy ends when its configuration is written to.
func writeFile(path string, content []byte) error {
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
		return nil
	}
	return os.WriteFile(path, content, 0o600)
}
