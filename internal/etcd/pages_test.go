package etcd

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestWholeDatabaseIsFoundWhole writes and deletes at random and checks the file after
// each transaction, with values from nothing to many pages.
func TestWholeDatabaseIsFoundWhole(t *testing.T) {
	t.Parallel()
	for _, withFreelist := range []bool{false, true} {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		file := filepath.Join(t.TempDir(), "db")
		db, err := bolt.Open(file, 0o600, &bolt.Options{NoFreelistSync: !withFreelist, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for round := range 150 {
			if err := db.Update(func(tx *bolt.Tx) error { return change(tx, r) }); err != nil {
				t.Fatal(err)
			}
			if err := checkPages(file); err != nil {
				t.Fatalf("seed %d, after %d transactions: %v", seed, round+1, err)
			}
		}
	}
}

// change puts and deletes a few hundred keys in the buckets that etcd has.
func change(tx *bolt.Tx, r *rand.Rand) error {
	for _, name := range []string{"key", "meta", "lease", "cluster"} {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		for range 1 + r.IntN(200) {
			key := fmt.Appendf(nil, "%08d_%08d", r.IntN(3000), r.IntN(2))
			if name != "key" {
				key = fmt.Appendf(nil, "%d", r.IntN(20))
			}
			if r.IntN(5) < 2 {
				err = b.Delete(key)
			} else {
				err = b.Put(key, make([]byte, r.IntN(1<<r.IntN(14))))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
