package reserve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/machine"
)

// disk is a file system of its own, in memory.
func disk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mounting a tmpfs (the test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func room(t *testing.T, dir string) machine.Room {
	t.Helper()
	r, err := machine.RoomOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fill takes all bytes, or all inodes, in files of a new directory.
func fill(t *testing.T, dir string, size int) (remove func()) {
	t.Helper()
	into := filepath.Join(dir, "foreign")
	if err := os.Mkdir(into, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		err := os.WriteFile(filepath.Join(into, fmt.Sprint(i)), make([]byte, size), 0o600)
		if errors.Is(err, unix.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.RemoveAll(into); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReserveIsUsedWhenTheDiskIsFullAndTakenAgainAfterwards(t *testing.T) {
	for name, size := range map[string]int{"bytes": 64 << 10, "inodes": 0} {
		t.Run(name, func(t *testing.T) {
			dir := disk(t, "size=64m,nr_inodes=2000")
			r := At(filepath.Join(dir, "reserve"))
			var asked, changed int
			k := NewKeeper(Config{
				Reserve: r, Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
				Relieve: func(context.Context, machine.Room, Amount) bool { asked++; return false },
				Changed: func() { changed++ },
			})
			k.look(t.Context())
			if !r.Held() || asked > 0 {
				t.Fatalf("held %v, asked %d times with an empty disk", r.Held(), asked)
			}
			with := room(t, dir)
			remove := fill(t, dir, size)
			k.look(t.Context())
			if now := room(t, dir); r.Held() || asked != 1 || changed != 1 || Default(now).Short(now) {
				t.Errorf("held %v, asked %d times, changed %d times, %+v left of a full disk", r.Held(), asked, changed, now)
			}
			remove()
			k.look(t.Context())
			if now := room(t, dir); !r.Held() || changed != 2 || now != with {
				t.Errorf("held %v, changed %d times, %+v left; before it was %+v", r.Held(), changed, now, with)
			}
		})
	}
}

func TestReserveIsHeldWhileAPodThatWouldTakeItIsEnded(t *testing.T) {
	dir := disk(t, "size=64m")
	r := At(filepath.Join(dir, "reserve"))
	k := NewKeeper(Config{
		Reserve: r, Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Relieve: func(context.Context, machine.Room, Amount) bool { return true },
	})
	k.look(t.Context())
	fill(t, dir, 64<<10)
	k.look(t.Context())
	if !r.Held() {
		t.Error("the reserve is gone before the pod is")
	}
	k.ending = k.ending.Add(-holdOn)
	k.look(t.Context())
	if r.Held() {
		t.Error("the reserve is kept from a system that has waited for it")
	}
}

func TestReserveOfNothingAndOfTooMuchIsNotTaken(t *testing.T) {
	dir := disk(t, "size=64m")
	r := At(filepath.Join(dir, "reserve"))
	for _, want := range []Amount{{}, {Bytes: 40 << 20}} {
		k := NewKeeper(Config{Reserve: r, Want: &want, Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		k.look(t.Context())
		if r.Held() {
			t.Errorf("%+v is taken of 64 MiB", want)
		}
	}
	if err := r.Keep(Amount{Bytes: 100 << 20}); !errors.Is(err, unix.ENOSPC) || r.Held() {
		t.Errorf("%v, held %v", err, r.Held())
	}
}

func TestReserveIsSmallOnASmallDisk(t *testing.T) {
	for all, want := range map[uint64]uint64{100 << 30: 64 << 20, 600 << 20: 30 << 20, 20 << 20: 1 << 20} {
		if got := Default(machine.Room{AllBytes: all, AllInodes: 1000}); got != (Amount{want, 50}) {
			t.Errorf("of %d: %+v", all, got)
		}
	}
	// btrfs counts no inodes, and is not short of them.
	if btrfs := (machine.Room{AllBytes: 1 << 40, Bytes: 1 << 39}); Default(btrfs).Short(btrfs) {
		t.Error("a file system without inode numbers is short of them")
	}
}
