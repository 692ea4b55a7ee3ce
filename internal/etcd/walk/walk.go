// Package walk reads whole stores page by page.
//
// It owns the paging at one revision; what is looked for lives with those who look:
// internal/encryption and internal/etcd/damaged.
package walk

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// PageSize bounds what is read at once: a value may be more than a megabyte.
const PageSize = 50

// Range calls f with every value of the keys from first up to end, which is exclusive
// ("\x00" for no end), in their order and as they are at one revision. It ends with the
// first error.
func Range(ctx context.Context, kv clientv3.KV, first, end string, f func(*mvccpb.KeyValue) error) error {
	revision := int64(0)
	for {
		resp, err := kv.Get(ctx, first, clientv3.WithRange(end), clientv3.WithLimit(PageSize), clientv3.WithRev(revision))
		if err != nil {
			return fmt.Errorf("reading the store: %w", err)
		}
		if revision == 0 {
			revision = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			if err := f(kv); err != nil {
				return err
			}
		}
		if !resp.More {
			return nil
		}
		first = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// Place is where the objects of a resource are, and which of them one is.
type Place struct{ Name, Object string }

// Places are where the object of a key may be, of which the prefix of all objects is cut
// off: resources of the server's own are at one element, custom resources and their
// definitions at two, group and resource. The first that is known is meant.
func Places(key string) (all []Place) {
	one, object, _ := strings.Cut(key, "/")
	all = append(all, Place{one, object})
	if resource, object, ok := strings.Cut(object, "/"); ok && strings.Contains(one, ".") {
		all = append(all, Place{one + "/" + resource, object})
	}
	return all
}
