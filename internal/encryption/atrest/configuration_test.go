package atrest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/storage/value"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/encryption/atrest"
)

const identity = "{identity: {}}"

func rules(resources string, providers ...string) string {
	return "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [" + resources + "]\n  providers: [" + strings.Join(providers, ", ") + "]\n"
}

func gcm(fill string) string {
	return "{aesgcm: {keys: [{name: " + fill + ", secret: " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(fill), 32)) + "}]}}"
}

func TestConfigurationIsReloaded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules")
	write := func(text string) { must(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(rules("secrets", gcm("a")))
	fake := clocktesting.NewFakeClock(time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	c, err := atrest.LoadConfiguration(ctx, atrest.ConfigurationConfig{File: file, Reload: true, Server: "s", Clock: clock.WallOf(fake), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	box := open(t, filepath.Join(t.TempDir(), "keys"))
	secrets, maps := c.Objects(corev1.Resource("secrets"), box, true), c.Objects(corev1.Resource("configmaps"), box, false)
	at := value.DefaultContext("/registry/x")
	label := func(tr value.Transformer) string {
		sealed, err := tr.TransformToStorage(t.Context(), []byte("plain"), at)
		must(t, err)
		return atrest.Label(sealed)
	}
	becomes := func(want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			fake.Step(time.Minute)
			if got := label(secrets) + ", " + label(maps); got == want {
				return
			}
		}
		t.Errorf("%s, %s, want %s", label(secrets), label(maps), want)
	}
	becomes("aesgcm a, plain")
	sealed, err := secrets.TransformToStorage(t.Context(), []byte("plain"), at)
	must(t, err)
	write(rules("'*.'", gcm("b"), gcm("a")))
	becomes("aesgcm b, aesgcm b")
	if plain, stale, err := secrets.TransformFromStorage(t.Context(), sealed, at); string(plain) != "plain" || !stale || err != nil {
		t.Errorf("by the second key: %q, %v, %v", plain, stale, err)
	}
	write("nonsense")
	for range 20 {
		becomes("aesgcm b, aesgcm b")
		time.Sleep(time.Millisecond)
	}
	write(rules("configmaps", gcm("a"), identity))
	becomes("secretbox key1, aesgcm a")

	ours, err := box.Transformer().TransformToStorage(t.Context(), []byte("plain"), at)
	must(t, err)
	write(rules("secrets", identity))
	becomes("plain, plain")
	if plain, stale, err := secrets.TransformFromStorage(t.Context(), ours, at); string(plain) != "plain" || !stale || err != nil {
		t.Errorf("sealed by the key file: %q, %v, %v", plain, stale, err)
	}
	if _, _, err := secrets.TransformFromStorage(t.Context(), sealed, at); err == nil {
		t.Error("a value of a forgotten key was read")
	}
}

func TestBadProviderConfigurations(t *testing.T) {
	for name, c := range map[string]struct{ config, says string }{
		"not there":  {"", "no such file"},
		"no kind":    {"resources: []", "must begin with apiVersion: apiserver.config.k8s.io/v1"},
		"unknown":    {strings.Replace(rules("secrets", "{identity: {}}"), "resources:", "resource:", 1), `unknown field "resource"`},
		"short key":  {rules("secrets", "{aescbc: {keys: [{name: k, secret: "+base64.StdEncoding.EncodeToString([]byte("xxxxx"))+"}]}}"), "secret is not of the expected length"},
		"no key":     {rules("secrets", "{aescbc: {keys: []}}"), "keys"},
		"two kinds":  {rules("secrets", "{identity: {}, aescbc: {keys: []}}"), "more than one provider"},
		"no kms":     {rules("secrets", "{kms: {apiVersion: v2, name: k, endpoint: 'http://127.0.0.1'}}"), "unsupported scheme"},
		"not base64": {rules("secrets", "{secretbox: {keys: [{name: k, secret: '??'}]}}"), "base64"},
	} {
		file := filepath.Join(t.TempDir(), "providers.yaml")
		if c.config != "" {
			must(t, os.WriteFile(file, []byte(c.config), 0o600))
		}
		if err := atrest.ValidateFlags(t.Context(), file, false); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := atrest.ValidateFlags(t.Context(), "", true); err == nil {
		t.Error("reloading no file was accepted")
	}
}
