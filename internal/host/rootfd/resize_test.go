package rootfd_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rootfd"
)

func TestATmpfsIsResizedWhereItIsMounted(t *testing.T) {
	t.Parallel()
	for _, noSwap := range []bool{false, true} {
		dir := t.TempDir()
		root := open(t, dir)
		place := must[*rootfd.Dir](t)(root.MkdirAll("v", 0o777))
		defer place.Close()
		if err := place.MountTmpfs(rootfd.Tmpfs{Size: 1 << 20, Inodes: 100, NoSwap: noSwap}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(dir+"/v", unix.MNT_DETACH) })
		v := must[*rootfd.Dir](t)(root.Sub("v"))
		defer v.Close()
		want := func(size, inodes int64) {
			t.Helper()
			if s, n, err := v.TmpfsBounds(); err != nil || s != size || n != inodes {
				t.Errorf("bounds %d and %d, %v; want %d and %d", s, n, err, size, inodes)
			}
		}
		want(1<<20, 100)
		content := bytes.Repeat([]byte("x"), 512<<10)
		write(t, dir+"/v/f", string(content))
		for i := range 50 {
			write(t, dir+"/v/"+fmt.Sprint(i), "")
		}
		resize := func(size, inodes int64, want error) {
			t.Helper()
			if err := v.ResizeTmpfs(rootfd.Tmpfs{Size: size, Inodes: inodes, NoSwap: noSwap}); !errors.Is(err, want) {
				t.Errorf("resize to %d and %d: %v, want %v", size, inodes, err, want)
			}
		}
		resize(2<<20, 200, nil)
		want(2<<20, 200)
		resize(256<<10, 0, rootfd.ErrInUse)
		resize(0, 20, rootfd.ErrInUse)
		want(2<<20, 200)
		resize(600<<10, 60, nil)
		want(600<<10, 60)
		if got, err := os.ReadFile(dir + "/v/f"); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the file has %d bytes, %v", len(got), err)
		}
		if err := os.WriteFile(dir+"/v/g", content, 0o600); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("writing beyond the size: %v", err)
		}
		if st, err := v.Stat(); err != nil || st.Mode&0o7777 != 0o1777 {
			t.Errorf("mode %o, %v", st.Mode, err)
		}
	}
	plain := open(t, t.TempDir())
	if err := plain.ResizeTmpfs(rootfd.Tmpfs{Size: 1 << 20}); err == nil {
		t.Error("a directory that is no mount was resized")
	}
}
