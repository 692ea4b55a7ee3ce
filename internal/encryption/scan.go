package encryption

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/value"

	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/etcd/walk"
)

const objects = "/registry/"

// each calls f with every value of the store, as it is at one revision.
func (k *Keeper) each(ctx context.Context, f func(*mvccpb.KeyValue) error) error {
	return walk.Range(ctx, k.config.Client, "\x00", "\x00", f)
}

// transformer returns how the value at key is encrypted, nil where it is not known.
func (k *Keeper) transformer(key string) value.Transformer {
	if slices.Contains(k.config.Sealed, key) {
		return k.config.Box.Transformer()
	}
	if object, ok := strings.CutPrefix(key, objects); ok {
		for _, place := range walk.Places(object) {
			if t := k.config.Transformer(place.Name); t != nil {
				return t
			}
		}
	}
	return nil
}

// Survey is what a look at every value of the store has found.
type Survey struct {
	// Values counts encrypted values, and plain ones that are to be encrypted, by how
	// they are; see atrest.Label.
	Values map[string]int `json:"values"`
	// Stale counts values that would be encrypted in another way if they were written.
	Stale int `json:"stale"`
	// Unreadable are the places of values that nothing decrypts, the first ten.
	Unreadable []string `json:"unreadable,omitempty"`
	// sealed counts values by the key of the file that has sealed them.
	sealed map[string]int
}

// maxUnreadable bounds what is told.
const maxUnreadable = 10

// survey looks at every value of the store.
func (k *Keeper) survey(ctx context.Context) (*Survey, error) {
	s := &Survey{Values: map[string]int{}, sealed: map[string]int{}}
	err := k.each(ctx, func(kv *mvccpb.KeyValue) error {
		label := atrest.Label(kv.Value)
		if key, ok := k.config.Box.SealedWith(ctx, string(kv.Key), kv.Value); ok {
			s.sealed[key]++
		}
		stale, readable := false, true
		if t := k.transformer(string(kv.Key)); t != nil {
			_, isStale, err := t.TransformFromStorage(ctx, kv.Value, value.DefaultContext(kv.Key))
			stale, readable = isStale, err == nil
		}
		if stale {
			s.Stale++
		}
		if !readable && len(s.Unreadable) < maxUnreadable {
			s.Unreadable = append(s.Unreadable, string(kv.Key))
		}
		if stale || !readable || label != atrest.Plain {
			s.Values[label]++
		}
		return nil
	})
	return s, err
}

// left counts the values that are sealed with keys which a rotation removes.
func (s *Survey) left(r *Rotation) (n int) {
	for _, name := range r.Old {
		n += s.sealed[name]
	}
	return n
}

// rewrite writes every value again that is not encrypted as it would be now, and calls
// progress after each. A value that somebody else writes at the same time is his.
func (k *Keeper) rewrite(ctx context.Context, progress func() error) error {
	return k.each(ctx, func(kv *mvccpb.KeyValue) error {
		t := k.transformer(string(kv.Key))
		if t == nil {
			return nil
		}
		at := value.DefaultContext(kv.Key)
		plain, stale, err := t.TransformFromStorage(ctx, kv.Value, at)
		if err != nil || !stale {
			return nil // what cannot be read is told by the survey
		}
		if slices.Contains(k.config.Sealed, string(kv.Key)) && bytes.Equal(plain, kv.Value) {
			return nil // nobody has sealed it: it must not become trusted
		}
		again, err := t.TransformToStorage(ctx, plain, at)
		if err != nil {
			return fmt.Errorf("encrypting %s: %w", kv.Key, err)
		}
		done, err := k.replace(ctx, kv, again)
		if err != nil || !done {
			return err
		}
		return progress()
	})
}

// replace writes a value unless it has changed; the lease of one that expires stays.
func (k *Keeper) replace(ctx context.Context, kv *mvccpb.KeyValue, again []byte) (bool, error) {
	resp, err := k.config.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(string(kv.Key)), "=", kv.ModRevision)).
		Then(clientv3.OpPut(string(kv.Key), string(again), clientv3.WithIgnoreLease())).Commit()
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", kv.Key, err)
	}
	return resp.Succeeded, nil
}
