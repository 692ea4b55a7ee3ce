package encryption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/encryption/atrest"
)

// State is how far a rotation has come.
type State string

const (
	// Distributing waits until every server has the key.
	Distributing State = "Distributing"
	// Rewriting lets servers write with the key and writes again what is sealed
	// otherwise.
	Rewriting State = "Rewriting"
	// Complete means that nothing is sealed with the old keys, which are gone.
	Complete State = "Complete"
)

// Rotation is the last change of the key, as the store has it. It holds no secret.
type Rotation struct {
	State State `json:"state"`
	// Key is what values are sealed with when the rotation is complete.
	Key atrest.Key `json:"key"`
	// Old are the names of the keys that go; none where values are only written again.
	Old []string `json:"old,omitempty"`
	// Started is never zero and differs between rotations.
	Started   time.Time  `json:"started"`
	Completed *time.Time `json:"completed,omitempty"`
	// Rewritten is how many values were written again.
	Rewritten int `json:"rewritten"`
	// Message says what is being done or waited for.
	Message string `json:"message,omitempty"`
}

// under reports whether there is a rotation that is not complete.
func (r *Rotation) under() bool { return r != nil && r.State != Complete }

// removes reports whether the rotation removes a key of that name.
func (r *Rotation) removes(name string) bool { return slices.Contains(r.Old, name) }

// Server is one that uses the store, as it reports itself.
type Server struct {
	Name string `json:"name"`
	// Keys are those of its file; it writes with the first.
	Keys []atrest.Key `json:"keys"`
}

func (s Server) has(k atrest.Key) bool    { return slices.Contains(s.Keys, k) }
func (s Server) writes(k atrest.Key) bool { return len(s.Keys) > 0 && s.Keys[0] == k }

const (
	recordKey = prefix + "rotation"
	leaderKey = prefix + "leader"
	serversAt = prefix + "servers/"
)

// load returns the record and its revision, nil and 0 if there is none.
func (k *Keeper) load(ctx context.Context) (*Rotation, int64, error) {
	resp, err := k.config.Client.Get(ctx, recordKey)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the record of the rotation: %w", err)
	}
	if len(resp.Kvs) == 0 {
		return nil, 0, nil
	}
	r := &Rotation{}
	if err := json.Unmarshal(resp.Kvs[0].Value, r); err != nil {
		return nil, 0, fmt.Errorf("reading %s: %v", recordKey, err)
	}
	return r, resp.Kvs[0].ModRevision, nil
}

// errConflict means that somebody else has written the record.
var errConflict = errors.New("another server has changed the rotation")

// store writes the record if its revision is still expected, and returns the new one.
func (k *Keeper) store(ctx context.Context, r *Rotation, expected int64) (int64, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encoding the record of the rotation: %w", err)
	}
	resp, err := k.config.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(recordKey), "=", expected)).
		Then(clientv3.OpPut(recordKey, string(data))).Commit()
	switch {
	case err != nil:
		return 0, fmt.Errorf("writing the record of the rotation: %w", err)
	case !resp.Succeeded:
		return 0, errConflict
	}
	return resp.Header.Revision, nil
}

// servers returns those that use the store.
func (k *Keeper) servers(ctx context.Context) ([]Server, error) {
	resp, err := k.config.Client.Get(ctx, serversAt, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("listing servers: %w", err)
	}
	var all []Server
	for _, kv := range resp.Kvs {
		var s Server
		if err := json.Unmarshal(kv.Value, &s); err != nil {
			return nil, fmt.Errorf("reading %s: %v", kv.Key, err)
		}
		all = append(all, s)
	}
	return all, nil
}
