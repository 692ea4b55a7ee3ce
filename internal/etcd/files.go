package etcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// checkFiles checks what the library takes for granted: that the database is one, and
// that it has its log. A database without one would be begun anew: what it says to have
// applied would be left out of a new log.
func checkFiles(db, wal string) error {
	if err := checkPages(db); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(wal, "*.wal"))
	if err != nil || len(logs) > 0 {
		return err
	}
	// A process that was killed in its very first moment leaves the same behind, with
	// nothing in it.
	applied, err := appliedIndex(db)
	if err == nil && applied > 0 {
		err = fmt.Errorf("its log %s is missing", wal)
	}
	return err
}

// room is what a start writes at least.
const room = 256 << 10

// checkRoom fails where a start could not write. Reading a full file system of memory
// fails too, where a file has holes, and looks like damage.
func checkRoom(dir string) error {
	file := filepath.Join(dir, "room")
	return errors.Join(os.WriteFile(file, make([]byte, room), 0o600), os.RemoveAll(file))
}

// appliedIndex reads the last entry of the log that a database holds, 0 when it holds
// none. See the bucket meta in etcd's storage/schema.
func appliedIndex(db string) (uint64, error) {
	if info, err := os.Stat(db); err != nil || info.Size() == 0 {
		return 0, err
	}
	b, err := bolt.Open(db, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", db, err)
	}
	defer b.Close()
	var applied uint64
	err = b.View(func(tx *bolt.Tx) error {
		if meta := tx.Bucket([]byte("meta")); meta != nil {
			if raw := meta.Get([]byte("consistent_index")); len(raw) == 8 {
				applied = binary.BigEndian.Uint64(raw)
			}
		}
		return nil
	})
	return applied, err
}
