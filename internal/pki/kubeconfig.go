package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// Kubeconfig says whom a kubeconfig makes of its reader, and where. It holds everything
// that it names, so that it can be copied alone.
type Kubeconfig struct {
	// Server is the URL of the API, CA the PEM of its authority.
	Server string
	CA     []byte
	// User is the name of the entry, Namespace that of the context.
	User, Namespace string
	// Certificate and Key are PEM, Token a bearer token: either is given.
	Certificate, Key []byte
	Token            string
}

// YAML encodes the kubeconfig.
func (k Kubeconfig) YAML() ([]byte, error) {
	const name = "laterna"
	type object = map[string]any
	credentials := object{"client-certificate-data": k.Certificate, "client-key-data": k.Key}
	if k.Token != "" {
		credentials = object{"token": k.Token}
	}
	raw, err := yaml.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters":        []object{{"name": name, "cluster": object{"server": k.Server, "certificate-authority-data": k.CA}}},
		"users":           []object{{"name": k.User, "user": credentials}},
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": k.User, "namespace": k.Namespace}}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding kubeconfig: %w", err)
	}
	return raw, nil
}

// WriteKubeconfig writes a kubeconfig (0600) at path for the user of pair. Each start of a
// system makes it anew, so it does not wait for the disk.
func WriteKubeconfig(path, server string, a *Authority, pair *Pair) error {
	cert, key, err := pair.PEM()
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	raw, err := Kubeconfig{Server: server, CA: a.PEM(), User: pair.leaf.Name, Namespace: "default", Certificate: cert, Key: key}.YAML()
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	// A start on a full disk need not write what is there already.
	if info, err := os.Lstat(path); err == nil && info.Mode() == 0o600 {
		if old, err := bounded.File(path, bounded.Document); err == nil && bytes.Equal(old, raw) {
			return nil
		}
	}
	return replace.Unsynced(path, raw, 0o600)
}

// Client makes a key and a client certificate, both PEM, for a user with groups that is
// valid for life. Nothing of it is kept, and nothing can call it back before it ends.
func (a *Authority) Client(user string, groups []string, life time.Duration) (cert, key []byte, err error) {
	if end := a.clock.Now().Add(life); end.After(a.cert.NotAfter) {
		return nil, nil, fmt.Errorf("a certificate until %s would outlive the authority's own, which ends %s", end.Format(time.DateOnly), a.cert.NotAfter.Format(time.DateOnly))
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making key of %s: %w", user, err)
	}
	der, err := a.issue(Leaf{Name: user, CommonName: user, Organizations: groups, Client: true}, private, life)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(private)
	return encodeCertificate(der), key, err
}
