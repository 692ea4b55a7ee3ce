package damaged

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/etcd/walk"
)

// Reader tells how the objects of one resource are read.
type Reader struct {
	// Resource is what they are deleted as; its version is empty where it is not served.
	Resource schema.GroupVersionResource
	// Read reads a value as far as every list does. Its error holds nothing of the
	// value's content.
	Read func(ctx context.Context, kv *mvccpb.KeyValue) error
}

// Source is a store that is searched.
type Source struct {
	KV clientv3.KV
	// Reader returns how the objects of a resource are read; false where nothing reads
	// them. It is given the place of the key behind Prefix; see walk.Places.
	Reader func(resource string) (Reader, bool)
	// Label says how a value is encrypted and with which key.
	Label func(value []byte) string
	// Opened are labels of values that are read elsewhere in the store. Where no object
	// with the label is read they vouch for the key, but for a single object only: another
	// key may have the same name.
	Opened []string
}

// reader returns how the object of a key is read, and where it is.
func (s Source) reader(key string) (r Reader, at walk.Place, ok bool) {
	for _, at = range walk.Places(strings.TrimPrefix(key, Prefix)) {
		if r, ok = s.Reader(at.Name); ok {
			return r, at, true
		}
	}
	return r, at, false
}

// WrongKeysError says that values cannot be read because the keys that they were
// written with are not there: nothing is damaged.
type WrongKeysError struct {
	// Counts are how many values have each label of which none can be read.
	Counts map[string]int
	// First is the key of the first such value.
	First string
}

// Error implements error.
func (e *WrongKeysError) Error() string {
	var all []string
	for _, label := range slices.Sorted(maps.Keys(e.Counts)) {
		all = append(all, fmt.Sprintf("%d are encrypted with %s", e.Counts[label], label))
	}
	return fmt.Sprintf("values of the store cannot be decrypted (%s, the first is %s)", strings.Join(all, ", "), e.First)
}

// tally counts the values of one label.
type tally struct {
	readable   int
	unreadable []Object
}

// Find searches the whole store for objects that cannot be read, sets them aside and
// returns them. Where nothing that is encrypted like them can be read either, the keys are
// wrong: it then sets nothing aside and its error is a *WrongKeysError.
func (s *Set) Find(ctx context.Context, from Source) ([]Object, error) {
	labels := map[string]*tally{}
	of := func(label string) *tally {
		if labels[label] == nil {
			labels[label] = &tally{}
		}
		return labels[label]
	}
	err := walk.Range(ctx, from.KV, Prefix, clientv3.GetPrefixRangeEnd(Prefix), func(kv *mvccpb.KeyValue) error {
		reader, place, ok := from.reader(string(kv.Key))
		if !ok {
			return nil
		}
		t := of(from.Label(kv.Value))
		if err := reader.Read(ctx, kv); err != nil {
			t.unreadable = append(t.unreadable, object(string(kv.Key), place, reader.Resource, err))
		} else {
			t.readable++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []Object
	wrong := &WrongKeysError{Counts: map[string]int{}}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		t := labels[label]
		found = append(found, t.unreadable...)
		vouched := t.readable > 0 || len(t.unreadable) == 1 && slices.Contains(from.Opened, label)
		if len(t.unreadable) > 0 && !vouched {
			wrong.Counts[label] = len(t.unreadable)
			if first := t.unreadable[0].Key; wrong.First == "" || first < wrong.First {
				wrong.First = first
			}
		}
	}
	if len(wrong.Counts) > 0 {
		return nil, wrong
	}
	s.add(found)
	return found, nil
}
