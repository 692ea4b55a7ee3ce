package damaged

import (
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// View returns kv without the objects of s: ranges leave them out. What reads, writes or
// deletes a single key sees it as it is.
func (s *Set) View(kv clientv3.KV) clientv3.KV { return view{kv, s} }

type view struct {
	clientv3.KV
	set *Set
}

// Get implements clientv3.KV.
func (v view) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := v.KV.Get(ctx, key, opts...)
	op := clientv3.OpGet(key, opts...)
	if err != nil || op.RangeBytes() == nil || v.set.empty() {
		return resp, err
	}
	for len(resp.Kvs) > 0 {
		last, revision := string(resp.Kvs[len(resp.Kvs)-1].Key), resp.Header.Revision
		var removed int64
		resp.Kvs, removed = v.set.without(resp.Kvs)
		resp.Count -= removed
		if len(resp.Kvs) > 0 || !resp.More {
			break
		}
		// Who reads page by page takes an empty one for the last.
		next := append(slices.Clip(opts), clientv3.WithRange(string(op.RangeBytes())), clientv3.WithRev(revision))
		if resp, err = v.KV.Get(ctx, last+"\x00", next...); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// GetStream implements clientv3.KV.
func (v view) GetStream(ctx context.Context, key string, opts ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	all, err := v.KV.GetStream(ctx, key, opts...)
	if err != nil || v.set.empty() {
		return all, err
	}
	readable := make(chan clientv3.RangeStreamResponse)
	go func() {
		defer close(readable)
		for chunk := range all {
			if chunk.RangeResponse != nil {
				var removed int64
				chunk.Kvs, removed = v.set.without(chunk.Kvs)
				chunk.Count -= removed
			}
			select {
			case readable <- chunk:
			case <-ctx.Done():
				return
			}
		}
	}()
	return readable, nil
}

// without returns those of kvs that are not set aside, and how many are.
func (s *Set) without(kvs []*mvccpb.KeyValue) ([]*mvccpb.KeyValue, int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	before := len(kvs)
	kvs = slices.DeleteFunc(kvs, func(kv *mvccpb.KeyValue) bool {
		_, damaged := s.objects[string(kv.Key)]
		return damaged
	})
	return kvs, int64(before - len(kvs))
}

// ViewWatcher returns w without the objects of s: that one was deleted is not told, since
// nobody was told that it is there. An object that is written anew is told as created.
func (s *Set) ViewWatcher(w clientv3.Watcher) clientv3.Watcher { return watcher{w, s} }

type watcher struct {
	clientv3.Watcher
	set *Set
}

// Watch implements clientv3.Watcher.
func (w watcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	all := w.Watcher.Watch(ctx, key, opts...)
	told := make(chan clientv3.WatchResponse)
	go func() {
		defer close(told)
		for resp := range all {
			if !w.set.empty() {
				resp.Events = slices.DeleteFunc(resp.Events, w.hide)
			}
			select {
			case told <- resp:
			case <-ctx.Done():
				return
			}
		}
	}()
	return told
}

// hide tells whether an event is about an object that is set aside. It is so no longer.
func (w watcher) hide(e *clientv3.Event) bool {
	if !w.set.drop(string(e.Kv.Key)) {
		return false
	}
	if e.Type == clientv3.EventTypeDelete {
		return true
	}
	e.PrevKv, e.Kv.CreateRevision = nil, e.Kv.ModRevision // IsCreate
	return false
}
