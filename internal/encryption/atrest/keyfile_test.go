package atrest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"laterna.dev/laterna/internal/encryption/atrest"
)

func names(b *atrest.Box) string {
	var all []string
	for _, k := range b.Keys() {
		all = append(all, k.Name)
	}
	return strings.Join(all, " ")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestKeysChange goes through a rotation. Another box on the same file is as another
// server.
func TestKeysChange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	first := open(t, file)
	data, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, append([]byte("# ours\n\n"), data...), 0o600))
	other := open(t, file)
	old, err := first.Seal(t.Context(), "k", []byte("old"))
	must(t, err)

	made, err := first.Add()
	must(t, err)
	if made.Name != "key2" || len(made.Fingerprint) != 16 || names(first) != "key1 key2" || names(other) != "key1" {
		t.Errorf("added %v: %s, %s", made, names(first), names(other))
	}
	if sealed, _ := first.Seal(t.Context(), "k", nil); !bytes.HasPrefix(sealed, []byte("k8s:enc:secretbox:v1:key1:")) {
		t.Errorf("an added key encrypts: %.30q", sealed)
	}
	must(t, other.Reload())
	must(t, first.Promote("key2"))
	must(t, other.Promote("key2"))
	must(t, first.Promote("key2"))
	if names(first) != "key2 key1" || names(other) != "key2 key1" {
		t.Errorf("promoted: %s, %s", names(first), names(other))
	}
	fresh, err := other.Seal(t.Context(), "k", []byte("fresh"))
	must(t, err)
	if by, ok := first.SealedWith(t.Context(), "k", fresh); !ok || by != "key2" {
		t.Errorf("sealed with %q, %v", by, ok)
	}
	must(t, first.Remove([]string{"key1", "key2", "key7"}))
	if names(first) != "key2" {
		t.Errorf("removed: %s", names(first))
	}
	if plain, err := first.Open(t.Context(), "k", old); err != nil || string(plain) != "old" {
		t.Errorf("a process forgets the removed key: %q, %v", plain, err)
	}
	if by, ok := first.SealedWith(t.Context(), "k", old); !ok || by != "key1" {
		t.Errorf("sealed with %q, %v", by, ok)
	}
	if _, err := open(t, file).Open(t.Context(), "k", old); err == nil {
		t.Error("the next process knows the removed key")
	}
	data, err = os.ReadFile(file)
	must(t, err)
	if !strings.HasPrefix(string(data), "# ours\n\nkey2 ") || bytes.Count(data, []byte("\n")) != 3 {
		t.Errorf("comments are lost")
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestChangesThatFailChangeNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	b := open(t, file)
	if err := b.Promote("key9"); err == nil || !strings.Contains(err.Error(), "has no key key9") {
		t.Errorf("promoting nothing: %v", err)
	}
	must(t, os.WriteFile(file, []byte("nonsense\n"), 0o600))
	if err := b.Reload(); err == nil {
		t.Error("nonsense was read")
	}
	if _, err := b.Add(); err == nil {
		t.Error("a key was added to nonsense")
	}
	if names(b) != "key1" {
		t.Errorf("keys: %s", names(b))
	}
	sealed, err := b.Seal(t.Context(), "k", []byte("x"))
	must(t, err)
	if _, err := b.Open(t.Context(), "k", sealed); err != nil {
		t.Errorf("the keys of before: %v", err)
	}
}

func TestManyChangesAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	a, b := open(t, file), open(t, file)
	var all sync.WaitGroup
	for _, box := range []*atrest.Box{a, b, a, b} {
		all.Go(func() {
			for range 5 {
				if _, err := box.Add(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := open(t, file).Keys(); len(got) != 21 {
		t.Errorf("%d keys, want 21: some were lost", len(got))
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("beside the key file: %v, %v", left, err)
	}
}

func TestLabels(t *testing.T) {
	for value, want := range map[string]string{
		"":                                    atrest.Plain,
		"k8s\x00\x0a":                         atrest.Plain,
		`{"kind":"PodProjection"}`:            atrest.Plain,
		"k8s:enc:secretbox:v1:key1:\x00:\x01": "secretbox key1",
		"k8s:enc:aescbc:v1:a:xx":              "aescbc a",
		"k8s:enc:kms:v2:vault:xx":             "kms v2 vault",
		"k8s:enc:kms:v2":                      atrest.Plain,
	} {
		if got := atrest.Label([]byte(value)); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

// FuzzKeyFile looks for files that are read and then written otherwise than they were.
func FuzzKeyFile(f *testing.F) {
	key := strings.Repeat("A", 43) + "="
	for _, seed := range []string{"key1 " + key + "\n", "# c\n\nkey1 " + key + "\nx  " + key, "key1\n", "a " + key + "\na " + key + "\n", "\xff " + key, " key1 " + key + "\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "keys")
		must(t, os.WriteFile(file, []byte(text), 0o600))
		b, err := atrest.Open(file)
		if err != nil {
			return
		}
		before := names(b)
		made, err := b.Add()
		must(t, err)
		must(t, b.Promote(made.Name))
		must(t, b.Promote(b.Keys()[1].Name))
		must(t, b.Remove([]string{made.Name}))
		if after := names(open(t, file)); after != before {
			t.Errorf("keys %q, were %q", after, before)
		}
	})
}
