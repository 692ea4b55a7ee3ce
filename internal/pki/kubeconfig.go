package pki

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/host/replace"
)

// WriteKubeconfig writes a kubeconfig (0600) at path for the user of pair, with
// server, authority and credentials inside it, so that it can be copied alone. Each start of a system writes it anew, so it does not wait
// for the disk.
func WriteKubeconfig(path, server string, a *Authority, pair *Pair) error {
	cert, key, err := pair.PEM()
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	const name = "laterna"
	user := pair.leaf.Name
	type object = map[string]any
	raw, err := yaml.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters":        []object{{"name": name, "cluster": object{"server": server, "certificate-authority-data": a.PEM()}}},
		"users":           []object{{"name": user, "user": object{"client-certificate-data": cert, "client-key-data": key}}},
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": user, "namespace": "default"}}},
	})
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	return replace.Unsynced(path, raw, 0o600)
}
