package podprojection

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/redacted"
)

func TestKeyIsMadeOnceAndClosedToOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, KeyFile)
	if err := os.WriteFile(filepath.Join(dir, "."+KeyFile+".ABCDEFGH"), []byte("half"), 0o644); err != nil { // of a start that was killed
		t.Fatal(err)
	}
	first, err := OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	second, err := OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Same(second.Text) || len(first.Reveal()) != keySize {
		t.Error("the key changed")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	other, err := OpenKey(t.TempDir())
	if err != nil || first.Same(other.Text) {
		t.Errorf("two nodes have one key: %v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, first); !strings.Contains(text, "[redacted]") || strings.Contains(text, fmt.Sprint(first.Reveal()[0], " ", first.Reveal()[1])) {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

func TestKeyOfWrongSizeIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, KeyFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(dir); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("err = %v", err)
	}
	if _, err := OpenKey(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing directory is no error")
	}
}

func TestDigestDependsOnKeyNamespaceAndTree(t *testing.T) {
	k := Key{redacted.New("k")}
	seen := map[string]string{}
	for name, d := range map[string]string{
		"plain": k.digest("ns", []byte("tree")), "key": Key{redacted.New("l")}.digest("ns", []byte("tree")),
		"namespace": k.digest("nt", []byte("tree")), "tree": k.digest("ns", []byte("treE")),
		"split": k.digest("ns\x00t", []byte("ree")),
	} {
		if was := seen[d]; was != "" {
			t.Errorf("%s and %s have one digest", name, was)
		}
		seen[d] = name
	}
	if k.digest("ns", nil) != "" || k.digest("ns", []byte("tree")) != k.digest("ns", []byte("tree")) {
		t.Error("digests are not stable")
	}
}
