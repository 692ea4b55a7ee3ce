package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/datadir"
)

func open(t *testing.T, path string) datadir.Dir {
	t.Helper()
	d, err := datadir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d.RunDir) })
	return d
}

func TestOpenMakesPrivateDirectories(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "a", "b"))
	for _, dir := range []string{d.Path, d.RunDir} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %o, want 700", dir, info.Mode().Perm())
		}
	}
	if len(d.Hash) != 8 || len(d.Bridge()) > 15 {
		t.Errorf("hash %q, bridge %q: want 8 digits and at most 15 bytes", d.Hash, d.Bridge())
	}
}

func TestSameDirectoryBySymlinkHasSameHash(t *testing.T) {
	base := t.TempDir()
	d := open(t, filepath.Join(base, "real"))
	link := filepath.Join(base, "link")
	if err := os.Symlink(d.Path, link); err != nil {
		t.Fatal(err)
	}
	if other := open(t, link); other.Hash != d.Hash {
		t.Errorf("hash by link %s, by name %s", other.Hash, d.Hash)
	}
	if other := open(t, filepath.Join(base, "other")); other.Hash == d.Hash {
		t.Error("two directories have one hash")
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	d := open(t, t.TempDir())
	for content, want := range map[string]string{"999\n": "use the newer laterna", "pods\n": "not a number"} {
		if err := os.WriteFile(filepath.Join(d.Path, "version"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := datadir.Open(d.Path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %q: error %v, want one that says %q", content, err, want)
		}
	}
}

func TestDirectoryOfAKilledStartIsTaken(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".version.ABCDEFGH", datadir.LogName, "lost+found"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
}

func TestLockIsExclusive(t *testing.T) {
	d := open(t, t.TempDir())
	if d.Owner() != 0 {
		t.Error("an unlocked directory has an owner")
	}
	release, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); !errors.Is(err, datadir.ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	if d.Owner() != os.Getpid() {
		t.Errorf("owner = %d, want %d", d.Owner(), os.Getpid())
	}
	release()
	if again, err := d.Lock(); err != nil {
		t.Errorf("lock after release: %v", err)
	} else {
		again()
	}
}

func TestPrivateFilesAreClosedToOthers(t *testing.T) {
	d := open(t, t.TempDir())
	if opened, err := d.ClosePrivate(); len(opened) > 0 || err != nil {
		t.Errorf("of a new directory: %q, %v", opened, err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	write := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(d.PKI(), 0o700); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(d.PKI(), "ca.key")
	write(ca, 0o666)
	write(d.EncryptionKey(), 0o644)
	write(filepath.Join(d.PKI(), "admin.key"), 0o600)
	write(d.Kubeconfig(), 0o640)
	write(outside, 0o644)
	if err := os.Symlink(outside, filepath.Join(d.PKI(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.PKI(), 0o777); err != nil {
		t.Fatal(err)
	}
	opened, err := d.ClosePrivate()
	if want := []string{d.Kubeconfig(), d.PKI(), ca, d.EncryptionKey()}; !slices.Equal(opened, want) || err != nil {
		t.Errorf("%q, %v; want %q", opened, err, want)
	}
	for path, want := range map[string]os.FileMode{ca: 0o600, d.EncryptionKey(): 0o600, d.Kubeconfig(): 0o600, d.PKI(): 0o700, outside: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if opened, err := d.ClosePrivate(); len(opened) > 0 || err != nil {
		t.Errorf("the second time: %q, %v", opened, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(ca, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ClosePrivate(); err == nil || !strings.Contains(err.Error(), ca+" belongs to user id 65534") {
		t.Errorf("a key of somebody else: %v", err)
	}
}
