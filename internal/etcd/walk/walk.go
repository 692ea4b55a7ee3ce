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

// Place splits what is behind the prefix of all objects in a key: where the objects of a
// resource are, and the rest. Custom resources, and their definitions, are at two elements,
// group and resource; of all others the first has no dot.
func Place(key string) (place, rest string) {
	place, rest, _ = strings.Cut(key, "/")
	if strings.Contains(place, ".") {
		resource, object, _ := strings.Cut(rest, "/")
		return place + "/" + resource, object
	}
	return place, rest
}
