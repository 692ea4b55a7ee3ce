package atrest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/storage/value"

	"laterna.dev/laterna/internal/encryption/atrest"
)

func open(t *testing.T, file string) *atrest.Box {
	t.Helper()
	b, err := atrest.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "encryption", "keys")
	first := open(t, file)
	if !first.Created() {
		t.Error("the first opening did not make the file")
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	sealed, err := first.Seal(t.Context(), "k", []byte("the plain text"))
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, file)
	if second.Created() {
		t.Error("the second opening made the file again")
	}
	if plain, err := second.Open(t.Context(), "k", sealed); err != nil || string(plain) != "the plain text" {
		t.Errorf("Open() = %q, %v", plain, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("beside the key file: %v, %v", left, err)
	}
}

func TestSealedValues(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "keys"))
	sealed, err := b.Seal(t.Context(), "k", []byte("the plain text"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("the plain text")) {
		t.Error("the plain value shows")
	}
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	other := open(t, filepath.Join(t.TempDir(), "keys"))
	for name, c := range map[string]struct {
		box   *atrest.Box
		key   string
		value []byte
	}{
		"damaged":         {b, "k", damaged},
		"other key":       {b, "kk", sealed},
		"other file":      {other, "k", sealed},
		"not encrypted":   {b, "k", []byte("the plain text")},
		"empty":           {b, "k", nil},
		"cut":             {b, "k", sealed[:30]},
		"prefix only":     {b, "k", []byte("k8s:enc:secretbox:v1:key1:")},
		"unknown key":     {b, "k", []byte("k8s:enc:secretbox:v1:key9:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
		"unknown version": {b, "k", []byte("k8s:enc:other:v1:key1:xxxx")},
	} {
		if plain, err := c.box.Open(t.Context(), c.key, c.value); err == nil {
			t.Errorf("%s: opened as %q", name, plain)
		}
	}
}

func TestObjectsMigrate(t *testing.T) {
	tr := open(t, filepath.Join(t.TempDir(), "keys")).Transformer()
	at := value.DefaultContext("x")
	plain, stale, err := tr.TransformFromStorage(t.Context(), []byte("k8s\x00old"), at)
	if err != nil || !stale || string(plain) != "k8s\x00old" {
		t.Errorf("plain object: %q, %v, %v", plain, stale, err)
	}
	sealed, err := tr.TransformToStorage(t.Context(), plain, at)
	if err != nil || !bytes.HasPrefix(sealed, []byte("k8s:enc:secretbox:v1:key1:")) {
		t.Errorf("written as %.40q, %v", sealed, err)
	}
	if _, stale, err := tr.TransformFromStorage(t.Context(), sealed, at); stale || err != nil {
		t.Errorf("encrypted object: %v, %v", stale, err)
	}
}

func TestKeysRotate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	sealed, err := open(t, file).Seal(t.Context(), "k", []byte("the plain text"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	second := "# comment\n\nkey2 " + strings.Repeat("A", 43) + "=\n"
	if err := os.WriteFile(file, append([]byte(second), old...), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, file)
	if plain, err := b.Open(t.Context(), "k", sealed); err != nil || string(plain) != "the plain text" {
		t.Errorf("sealed by the old key: %q, %v", plain, err)
	}
	again, err := b.Seal(t.Context(), "k", []byte("the plain text"))
	if err != nil || !bytes.HasPrefix(again, []byte("k8s:enc:secretbox:v1:key2:")) {
		t.Errorf("sealed as %.40q, %v", again, err)
	}
}

func TestBadKeyFiles(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"no key":       "key1\n",
		"short key":    "key1 AAAA\n",
		"not base64":   "key1 ???\n",
		"colon":        "key:1 " + strings.Repeat("A", 43) + "=\n",
		"comment only": "# nothing\n",
	} {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := atrest.Open(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
