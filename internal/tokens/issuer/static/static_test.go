package static_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/tokens/issuer/static"
)

func keySet(t testing.TB) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := boundtoken.NewKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(jwks.New(key))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func pages(t testing.TB, jwksURI string, issuers ...string) []static.Page {
	t.Helper()
	all, err := static.Pages(issuers, jwksURI, keySet(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func paths(all []static.Page) (paths []string) {
	for _, p := range all {
		paths = append(paths, p.Path)
	}
	return paths
}

func TestPagesLieWhereTheyAreAskedFor(t *testing.T) {
	const doc, set = "/.well-known/openid-configuration", "/openid/v1/jwks"
	for _, tc := range []struct {
		issuers []string
		uri     string
		want    []string
	}{
		{[]string{"https://a", "https://B.example:8443/x/y/"}, "", []string{"a" + set, "b.example:8443/x/y" + set, "a" + doc, "b.example:8443/x/y" + doc}},
		{[]string{"https://a", "https://b"}, "https://cdn/keys.json", []string{"cdn/keys.json", "a" + doc, "b" + doc}},
		{[]string{"https://[::1]:6443/with%20space"}, "", []string{"[::1]:6443/with space" + set, "[::1]:6443/with space" + doc}},
	} {
		all := pages(t, tc.uri, tc.issuers...)
		if !slices.Equal(paths(all), tc.want) {
			t.Errorf("%v: %q", tc.issuers, paths(all))
		}
		var doc struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(all[len(all)-1].Body, &doc); err != nil || doc.Issuer != tc.issuers[len(tc.issuers)-1] || doc.JWKSURI != keysAt(tc.uri, doc.Issuer) {
			t.Errorf("%s: %v", all[len(all)-1].Body, err)
		}
	}
}

func keysAt(uri, issuer string) string {
	if uri != "" {
		return uri
	}
	return strings.TrimSuffix(issuer, "/") + "/openid/v1/jwks"
}

func TestIssuersThatNoFilesCanServe(t *testing.T) {
	for _, tc := range []struct {
		issuers []string
		uri     string
		want    string
	}{
		{[]string{"https://h/../../etc"}, "", `a part ".."`},
		{[]string{"https://h/%2e%2e/etc"}, "", `a part ".."`},
		{[]string{"https://h/a%2fb"}, "", "escaped slash"},
		{[]string{"https://h//b"}, "", `a part ""`},
		{[]string{"https://../b"}, "", `a part ".."`},
		{[]string{"https://h/a\\b"}, "", "cannot be the name"},
		{[]string{"https://h/%00"}, "", "cannot be the name"},
		{[]string{"https://h/" + strings.Repeat("a", 256)}, "", "cannot be the name"},
		{[]string{"https://user@h"}, "", "static files can answer"},
		{[]string{"http://h"}, "", "not an https URL"},
		{[]string{"https://h/?a"}, "", "query"},
		{[]string{"https://h"}, "https://cdn/keys?v=1", "static files can answer"},
		{[]string{"https://h"}, "https://cdn", "cannot be the name"},
		{[]string{"https://h/a", "https://h/a/"}, "", "the same file"},
		{[]string{"https://h", "https://h/openid/v1/jwks"}, "", "a file and the directory"},
	} {
		if all, err := static.Pages(tc.issuers, tc.uri, keySet(t)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, %s: %q, %v; want %s", tc.issuers, tc.uri, paths(all), err, tc.want)
		}
	}
}

func write(t testing.TB, dir string, all []static.Page, force bool) []string {
	t.Helper()
	stale, err := static.Write(dir, all, force)
	if err != nil {
		t.Fatal(err)
	}
	return stale
}

func TestWrittenFilesAreForEverybodyToRead(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := filepath.Join(t.TempDir(), "new", "site")
	all := pages(t, "", "https://h/a")
	write(t, dir, all, false)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil {
			t.Fatal(err, statErr)
		}
		want := fs.FileMode(0o644)
		if d.IsDir() {
			want = 0o755
		}
		if path != dir && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if raw, err := os.ReadFile(filepath.Join(dir, p.Path)); err != nil || string(raw) != string(p.Body) {
			t.Errorf("%s: %s, %v", p.Path, raw, err)
		}
	}
}

func TestOnlyOwnFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, pages(t, "", "https://h"), false)
	second := pages(t, "", "https://h") // other keys
	write(t, dir, second, false)
	write(t, dir, second, false)
	file := filepath.Join(dir, "h/openid/v1/jwks")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	third := pages(t, "", "https://a", "https://h")
	_, err := static.Write(dir, third, false)
	if err == nil || !strings.Contains(err.Error(), "h/openid/v1/jwks is there and is not what an earlier export wrote; --force") {
		t.Errorf("replacing a changed file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("something was written before the refusal")
	}
	write(t, dir, third, true)
	if raw, err := os.ReadFile(file); err != nil || string(raw) != string(third[0].Body) {
		t.Errorf("--force left %s, %v", raw, err)
	}
	if stale := write(t, dir, pages(t, "", "https://a"), false); !slices.Equal(stale, []string{"h/.well-known/openid-configuration", "h/openid/v1/jwks"}) {
		t.Errorf("files of earlier exports: %q", stale)
	}
}

func TestInterruptedExportCanBeRepeated(t *testing.T) {
	dir := t.TempDir()
	first := pages(t, "", "https://h")
	write(t, dir, first, false)
	write(t, dir, pages(t, "", "https://h"), false)
	// As if the second had ended before its first page.
	for _, p := range first {
		if err := os.WriteFile(filepath.Join(dir, p.Path), p.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, pages(t, "", "https://h"), false)
}

func TestLinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	all := pages(t, "", "https://h/a")
	for _, link := range []string{"h", "h/a", "h/a/openid"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		if _, err := static.Write(dir, all, true); err == nil {
			t.Errorf("%s led out of the directory", link)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("written outside: %v, %v", left, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "h/a/openid/v1/jwks")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(outside, "target")
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
	if _, err := static.Write(dir, all, false); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a link in the place of a file: %v", err)
	}
	write(t, dir, all, true)
	if _, err := os.Stat(target); err == nil {
		t.Error("the link was followed")
	}
}

func TestRelyingPartyDiscoversExportedFiles(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(filepath.Join(dir, r.Host))).ServeHTTP(w, r)
	}))
	defer server.Close()
	write(t, dir, pages(t, "", server.URL+"/a"), false)
	ctx := oidc.ClientContext(t.Context(), server.Client())
	provider, err := oidc.NewProvider(ctx, server.URL+"/a")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := provider.Claims(&doc); err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Get(doc.JWKSURI)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("keys: %v, %v", answer, err)
	}
}
