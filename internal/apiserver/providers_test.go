package apiserver_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/encryption"
)

// providers returns an encryption provider configuration for secrets.
func providers(list ...string) string {
	return "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: [" + strings.Join(list, ", ") + "]\n"
}

func provider(kind, name string, size int, fill string) string {
	return fmt.Sprintf("{%s: {keys: [{name: %s, secret: %s}]}}", kind, name, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(fill, size))))
}

// life runs a system for as long as f runs. config is an encryption provider
// configuration, or "".
func life(t *testing.T, dir, name, config string, f func(s *system)) {
	t.Run(name, func(t *testing.T) {
		f(boot(t, dir, settleSoon, func(c *apiserver.Config) {
			if config != "" {
				c.Store.EncryptionProviderConfig = filepath.Join(t.TempDir(), "providers.yaml")
				must(t, os.WriteFile(c.Store.EncryptionProviderConfig, []byte(config), 0o600))
			}
		}))
	})
}

// TestProviderConfigurations walks through all providers and back to the key file, as
// docs/encryption.md tells. Secrets are readable at every station and never plain on
// disk before identity is asked for.
func TestProviderConfigurations(t *testing.T) {
	const n = 20
	dir := t.TempDir()
	life(t, dir, "default", "", func(s *system) { s.fill(n) })
	line, err := os.ReadFile(filepath.Join(dir, "encryption", "keys"))
	must(t, err)
	ours := "{secretbox: {keys: [{name: key1, secret: " + strings.Fields(string(line))[1] + "}]}}"
	cbc, gcm, box := provider("aescbc", "key1", 32, "c"), provider("aesgcm", "key1", 16, "g"), provider("secretbox", "key1", 32, "b")
	for _, station := range []struct {
		name, config, label string
	}{
		{"aescbc", providers(cbc), "k8s:enc:aescbc:v1:key1"},
		{"aesgcm", providers(gcm, cbc), "k8s:enc:aesgcm:v1:key1"},
		{"secretbox with a key of the same name", providers(box, gcm), "k8s:enc:secretbox:v1:key1"},
		{"the key of the file", providers(ours, box), "k8s:enc:secretbox:v1:key1"},
		{"default again", "", "k8s:enc:secretbox:v1:key1"},
		{"another resource", strings.Replace(providers(cbc), "[secrets]", "[configmaps]", 1), "k8s:enc:secretbox:v1:key1"},
		{"everything", strings.Replace(providers(gcm, "{identity: {}}", cbc), "[secrets]", "['*.*']", 1), "k8s:enc:aesgcm:v1:key1"},
		{"identity", strings.Replace(providers("{identity: {}}", gcm), "[secrets]", "['*.*']", 1), "plain"},
		{"default after all", "", "k8s:enc:secretbox:v1:key1"},
	} {
		life(t, dir, station.name, station.config, func(s *system) {
			if station.label == "plain" {
				s.onDisk(canary)
			}
			if all := s.secrets(); len(all) != n || !strings.HasPrefix(string(all["s3"].Data["password"]), canary) {
				t.Fatalf("before: %d secrets, %v", len(all), all["s3"])
			}
			encryptionStatus(t, s.admin(), encryption.RewritePath)
			status := completed(t, s.admin())
			if status.Stale != 0 || len(status.Unreadable) != 0 || status.Rotation.Message != "" {
				t.Errorf("%+v", status)
			}
			want := map[string]int{"k8s:enc:secretbox:v1:key1": 1} // the signing keys
			want[station.label] += n
			if got := s.labels(); !maps.Equal(got, want) {
				t.Errorf("values are %v, want %v", got, want)
			}
			if all := s.secrets(); len(all) != n || !strings.HasPrefix(string(all["s3"].Data["password"]), canary) {
				t.Errorf("after: %d secrets, %v", len(all), all["s3"])
			}
			_, err := s.admin().CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
			must(t, err)
		})
	}
}

// TestStartWithoutTheConfiguration shows that a server which cannot read the Secrets
// says so and does not serve.
func TestStartWithoutTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	life(t, dir, "with", providers(provider("aescbc", "mine", 32, "c")), func(s *system) { s.fill(3) })
	t.Run("without", func(t *testing.T) {
		err := build(t, dir).group.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "3 are encrypted with aescbc mine, the first is /registry/secrets/default/s0") || !strings.Contains(err.Error(), "--encryption-provider-config") {
			t.Errorf("Start() = %v", err)
		}
	})
	life(t, dir, "with again", providers(provider("aescbc", "mine", 32, "c")), func(s *system) {
		if n := len(s.secrets()); n != 3 {
			t.Errorf("%d secrets", n)
		}
	})
}
