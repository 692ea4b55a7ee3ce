package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/etcd"
)

const (
	// openDir tells the test binary to be a process that opens a store and ends.
	openDir = "LATERNA_TEST_OPEN_DIR"
	// openTimeout is how long that may take on a busy machine; it takes a tenth of a
	// second on an idle one.
	openTimeout = 30 * time.Second
	writes      = 300
)

// TestOpenChild opens a store and prints "has N", the last acknowledged write that it
// finds, or "error" and the reason.
func TestOpenChild(t *testing.T) {
	dir := os.Getenv(openDir)
	if dir == "" {
		return
	}
	s := etcd.New(etcd.Config{Dir: dir, SocketDir: t.TempDir(), Wall: clock.Real(), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	fmt.Println(func() string {
		if err := errors.Join(s.Init(t.Context()), s.Start(t.Context())); err != nil {
			return "error " + err.Error()
		}
		e, err := s.Await(t.Context())
		if err != nil {
			return "error " + err.Error()
		}
		client, err := e.NewClient(slog.Default())
		if err != nil {
			return "error " + err.Error()
		}
		defer client.Close()
		if _, err := client.Put(t.Context(), "another", "write"); err != nil {
			return "error " + err.Error()
		}
		got, err := client.Get(t.Context(), "another")
		if err != nil || len(got.Kvs) != 1 {
			return fmt.Sprintf("a write was lost: %v, %v", got, err)
		}
		if got, err = client.Get(t.Context(), "count"); err != nil || len(got.Kvs) != 1 {
			return fmt.Sprintf("has nothing: %v", err)
		}
		return "has " + string(got.Kvs[0].Value)
	}())
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// opened is what a process says that opens the store.
func opened(t *testing.T, dir string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), openTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestOpenChild$")
	cmd.Env = append(os.Environ(), openDir+"="+dir)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if ctx.Err() != nil {
		t.Errorf("%s: it neither opens nor ends within %s: %s", t.Name(), openTimeout, &log)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "has ") || strings.HasPrefix(line, "error ") || strings.HasPrefix(line, "a write ") {
			if log.Len() > 0 && strings.HasPrefix(line, "error ") {
				t.Errorf("besides the error there is a log: %.2000s", &log)
			}
			return strings.TrimSpace(line)
		}
	}
	return fmt.Sprintf("crashed: %v: %s%.3000s", err, out, &log)
}

// written makes a store with writes; a killed one has some of them in its log only.
func written(t *testing.T, killed bool) (dir string, last int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "etcd")
	s, e := start(t, dir)
	client, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n := range writes {
		if _, err := client.Put(t.Context(), "count", strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Put(t.Context(), fmt.Sprintf("key%d", n), strings.Repeat("v", 500)); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if !killed {
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// What lies on the disk while the server runs is what a kill leaves.
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied, writes - 1
}

// store names the files of a store.
type store string

func (s store) db() string { return filepath.Join(string(s), "member", "snap", "db") }

func (s store) wal(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(string(s), "member", "wal", "*.wal"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	return files[0]
}

// change rewrites a file.
func change(t *testing.T, file string, f func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, f(raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

func fill(b []byte, value byte) {
	for i := range b {
		b[i] = value
	}
}

// records is how much of a log is written; the rest is zero.
func records(raw []byte) int { return len(bytes.TrimRight(raw, "\x00")) }

func TestDamagedStoreOpensWholeOrSaysWhy(t *testing.T) {
	t.Parallel()
	whole, last := written(t, false)
	const damaged = "it is damaged: put a copy of the data directory in its place, or move "
	for _, tc := range []struct {
		name   string
		damage func(*testing.T, store)
		want   []string // parts of the error; none where the store opens with all in it
	}{
		{"nothing", func(*testing.T, store) {}, nil},
		{"end of the log's file", func(t *testing.T, s store) {
			change(t, s.wal(t), func(b []byte) []byte { fill(b[len(b)-200:], 0xff); return b })
		}, nil},
		{"last records, garbage", func(t *testing.T, s store) {
			change(t, s.wal(t), func(b []byte) []byte { n := records(b); fill(b[n-200:n], 0xaa); return b })
		}, []string{damaged}},
		{"last records, zeros", func(t *testing.T, s store) {
			change(t, s.wal(t), func(b []byte) []byte { n := records(b); fill(b[n-2000:n], 0); return b })
		}, []string{damaged}},
		{"log cut off in a record", func(t *testing.T, s store) {
			change(t, s.wal(t), func(b []byte) []byte { return b[:records(b)-1500] })
		}, []string{"its log ends with entry", damaged}},
		{"log cut off after its records", func(t *testing.T, s store) {
			change(t, s.wal(t), func(b []byte) []byte { return b[:records(b)+16] })
		}, nil},
		{"log of no bytes", func(t *testing.T, s store) {
			change(t, s.wal(t), func([]byte) []byte { return nil })
		}, []string{damaged}},
		{"no log", func(t *testing.T, s store) { remove(t, s.wal(t)) }, []string{"is missing", damaged}},
		{"no directory of logs", func(t *testing.T, s store) { remove(t, filepath.Dir(s.wal(t))) }, []string{"is missing", damaged}},
		{"directory in place of the log", func(t *testing.T, s store) {
			log := s.wal(t)
			remove(t, log)
			make0(t, log)
		}, []string{"is not a regular file", damaged}},
		{"no database", func(t *testing.T, s store) { remove(t, s.db()) }, nil},
		{"database cut off", func(t *testing.T, s store) {
			change(t, s.db(), func(b []byte) []byte { return b[:8*4096] })
		}, []string{"db: it ends at 32768 bytes, before its page", damaged}},
		{"database of zeros", func(t *testing.T, s store) {
			change(t, s.db(), func(b []byte) []byte { fill(b, 0); return b })
		}, []string{"neither of its first pages is whole", damaged}},
		{"database of garbage", func(t *testing.T, s store) {
			change(t, s.db(), func(b []byte) []byte { fill(b, 0xa5); return b })
		}, []string{"neither of its first pages is whole", damaged}},
		{"first page of the database", func(t *testing.T, s store) {
			change(t, s.db(), func(b []byte) []byte { fill(b[:4096], 0); return b })
		}, nil},
		{"pages of the database", func(t *testing.T, s store) {
			change(t, s.db(), func(b []byte) []byte { fill(b[2*4096:], 0); return b })
		}, []string{"overwritten", damaged}},
		{"database with a revision that is none", func(t *testing.T, s store) {
			db, err := bolt.Open(s.db(), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(func(tx *bolt.Tx) error {
				b := tx.Bucket([]byte("key"))
				_, value := b.Cursor().Last()
				return b.Put([]byte("\x00\x00\x00\x00\x00\x01\x00\x00_\x90\x00\x00\x00\x00\x00\x00\x00"), value)
			}), db.Close()); err != nil {
				t.Fatal(err)
			}
		}, []string{"overwritten", damaged}},
		{"directory in place of the database", func(t *testing.T, s store) {
			remove(t, s.db())
			make0(t, s.db())
		}, []string{"is not a regular file", damaged}},
		{"pipe in place of the database", func(t *testing.T, s store) {
			remove(t, s.db())
			if err := unix.Mkfifo(s.db(), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"is not a regular file", damaged}},
		{"file in place of the store", func(t *testing.T, s store) {
			remove(t, filepath.Join(string(s), "member"))
			change0(t, filepath.Join(string(s), "member"))
		}, []string{"not a directory"}},
		{"store of a newer program", func(t *testing.T, s store) {
			db, err := bolt.Open(s.db(), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("cluster")).Put([]byte("clusterVersion"), []byte("9.9.0"))
			}), db.Close()); err != nil {
				t.Fatal(err)
			}
		}, []string{"downgrade", "use the newer laterna that wrote it"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etcd")
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			tc.damage(t, store(dir))
			got := opened(t, dir)
			if len(tc.want) == 0 && got != fmt.Sprint("has ", last) {
				t.Errorf("%s; want all writes to %d", got, last)
			}
			for _, part := range tc.want {
				if !strings.HasPrefix(got, "error opening store in "+dir+": ") || !strings.Contains(got, part) {
					t.Errorf("%s; want an error that says %q", got, part)
				}
			}
		})
	}
}

// TestStoreThatWasKilledBeforeItsFirstEntryOpens copies a store that is opened and not
// yet started.
func TestStoreThatWasKilledBeforeItsFirstEntryOpens(t *testing.T) {
	dir, copied := filepath.Join(t.TempDir(), "etcd"), filepath.Join(t.TempDir(), "copy")
	s := etcd.New(etcd.Config{Dir: dir, SocketDir: t.TempDir(), Wall: clock.Real(), Log: slog.Default()})
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := os.CopyFS(copied, os.DirFS(dir))
	if err := errors.Join(err, s.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	store(copied).wal(t)
	half := filepath.Join(t.TempDir(), "half") // killed again while it was removed
	if err := os.CopyFS(half, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(half, "member", "snap"))
	for range 2 {
		for _, dir := range []string{copied, half} {
			if got := opened(t, dir); !strings.HasPrefix(got, "has nothing: <nil>") {
				t.Errorf("%s; want an empty store", got)
			}
		}
	}
}

// TestStoreOfWhichOnlySnapshotsAreLeftIsNotBegunAnew is of a copy that was cut short.
func TestStoreOfWhichOnlySnapshotsAreLeftIsNotBegunAnew(t *testing.T) {
	for _, db := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "etcd")
		snapshots := filepath.Join(dir, "member", "snap")
		if err := os.MkdirAll(snapshots, 0o700); err != nil {
			t.Fatal(err)
		}
		change0(t, filepath.Join(snapshots, "0000000000000002-00000000000003e8.snap"))
		if db {
			if err := os.WriteFile(filepath.Join(snapshots, "db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := opened(t, dir); !strings.Contains(got, "is missing") {
			t.Errorf("database %t: %s", db, got)
		}
		if left, err := os.ReadDir(snapshots); err != nil || len(left) == 0 {
			t.Errorf("database %t: %v left, %v", db, left, err)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func make0(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func change0(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStoreWithFlippedBytesNeverHangs flips bytes anywhere in the written parts of both
// files. The seed is in the test's name.
func TestStoreWithFlippedBytesNeverHangs(t *testing.T) {
	t.Parallel()
	whole, last := written(t, false)
	killed, _ := written(t, true)
	rounds := 8
	if os.Getenv("LATERNA_SOAK") != "" {
		rounds = 400
	}
	first := rand.Uint64()
	for round := range rounds {
		seed := first + uint64(round)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			from := []string{whole, killed}[r.IntN(2)]
			dir := filepath.Join(t.TempDir(), "etcd")
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			file := []string{store(dir).db(), store(dir).wal(t)}[r.IntN(2)]
			change(t, file, func(b []byte) []byte {
				for range 1 << r.IntN(8) {
					b[r.IntN(max(records(b), 1))] ^= byte(1 + r.IntN(255))
				}
				return b
			})
			got := opened(t, dir)
			t.Logf("%s: %s", filepath.Base(file), got)
			if got != fmt.Sprint("has ", last) && !strings.HasPrefix(got, "error opening store in "+dir+": ") {
				t.Errorf("%s: %s", filepath.Base(file), got)
			}
		})
	}
}
