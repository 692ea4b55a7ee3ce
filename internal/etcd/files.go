package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// checkFiles checks what the library takes for granted: that the database is one, and
// that it has its log. A database without one would be begun anew: what it says to have
// applied would be left out of a new log. A store that was killed before its first entry,
// or while it was removed for that, is removed, since it never gets a leader.
func checkFiles(member, db, logs string) error {
	if err := checkPages(db); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	used, err := holdsAnything(db)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files, err := filepath.Glob(filepath.Join(logs, "*.wal"))
	if err != nil {
		return err
	}
	// Whatever has become of the database: only a store with many entries has snapshots.
	snapshots, err := filepath.Glob(filepath.Join(filepath.Dir(db), "*.snap"))
	switch {
	case err != nil:
		return err
	case (used || len(snapshots) > 0) && len(files) == 0:
		return fmt.Errorf("its log %s is missing", logs)
	case !used && (len(files) == 0 || !committed(logs)):
		return os.RemoveAll(member)
	}
	return nil
}

// committed tells whether a log has entries that are agreed on, or may have.
func committed(logs string) bool {
	state, err := wal.Verify(nil, logs, &walpb.Snapshot{})
	return err != nil || state.GetCommit() > 0
}

// room is what a start writes at least.
const room = 256 << 10

// checkRoom fails where a start could not write. Reading a full file system of memory
// fails too, where a file has holes, and looks like damage. The file that is written stays,
// so that a disk that has become full since does not keep the store from being opened: what
// that writes is there already, see keepRoom.
func checkRoom(dir string) error {
	file := filepath.Join(dir, "room")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(make([]byte, room), 0); err != nil {
		_ = os.RemoveAll(file)
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// holdsAnything tells whether a database has applied an entry of its log or has an
// object. See etcd's storage/schema.
func holdsAnything(db string) (used bool, err error) {
	if info, err := os.Stat(db); err != nil || info.Size() == 0 {
		return false, err
	}
	b, err := bolt.Open(db, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", db, err)
	}
	defer b.Close()
	err = b.View(func(tx *bolt.Tx) error {
		if meta := tx.Bucket([]byte("meta")); meta != nil {
			applied := meta.Get([]byte("consistent_index"))
			used = len(bytes.Trim(applied, "\x00")) > 0
		}
		if objects := tx.Bucket([]byte("key")); objects != nil {
			first, _ := objects.Cursor().First()
			used = used || first != nil
		}
		return nil
	})
	return used, err
}
