package damaged

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/etcd/walk"
)

// stored is a store that holds this, ordered by key.
type stored struct {
	clientv3.KV
	kvs []*mvccpb.KeyValue
}

func (s *stored) put(key, value string) {
	at, _ := slices.BinarySearchFunc(s.kvs, key, func(kv *mvccpb.KeyValue, key string) int { return strings.Compare(string(kv.Key), key) })
	s.kvs = slices.Insert(s.kvs, at, &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value)})
}

// page is what a range from key returns, two at a time.
func (s *stored) page(key string, end []byte) *pb.RangeResponse {
	const most = 2
	r := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 7}}
	for _, kv := range s.kvs {
		switch {
		case string(kv.Key) < key || end == nil && string(kv.Key) != key || end != nil && string(kv.Key) >= string(end):
		case len(r.Kvs) == most:
			r.Count, r.More = r.Count+1, true
		default:
			r.Count, r.Kvs = r.Count+1, append(r.Kvs, kv)
		}
	}
	return r
}

func (s *stored) Get(_ context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(key, opts...)
	return (*clientv3.GetResponse)(s.page(key, op.RangeBytes())), nil
}

func (s *stored) GetStream(_ context.Context, key string, opts ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	end := clientv3.OpGet(key, opts...).RangeBytes()
	chunks := make(chan clientv3.RangeStreamResponse)
	go func() {
		defer close(chunks)
		for more := true; more; {
			r := s.page(key, end)
			if more = r.More; more {
				key = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
			}
			chunks <- clientv3.RangeStreamResponse{RangeResponse: r}
		}
	}()
	return chunks, nil
}

// source reads values as <label>:<anything but bad>.
func source(s *stored, opened ...string) Source {
	label := func(value []byte) string {
		before, _, _ := strings.Cut(string(value), ":")
		return before
	}
	return Source{KV: s, Label: label, Opened: opened, Reader: func(resource string) (Reader, bool) {
		at := schema.GroupVersionResource{Version: "v1", Resource: resource}
		return Reader{Resource: at, Read: func(_ context.Context, kv *mvccpb.KeyValue) error {
			if strings.HasSuffix(string(kv.Value), ":bad") {
				return errors.New("is damaged")
			}
			return nil
		}}, resource != "unserved"
	}}
}

func keysOf(objects []Object) (all []string) {
	for _, o := range objects {
		all = append(all, o.Key)
	}
	return all
}

func TestDamageIsToldFromWrongKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		values map[string]string
		opened []string
		found  []string
		says   string
	}{
		"whole":              {values: map[string]string{"/registry/secrets/a/x": "box:good"}},
		"one of two":         {values: map[string]string{"/registry/secrets/a/x": "box:bad", "/registry/secrets/a/y": "box:good"}, found: []string{"/registry/secrets/a/x"}},
		"of another kind":    {values: map[string]string{"/registry/configmaps/a/x": "plain:bad", "/registry/pods/a/x": "plain:good"}, found: []string{"/registry/configmaps/a/x"}},
		"nobody reads it":    {values: map[string]string{"/registry/unserved/x": "box:bad"}},
		"vouched for":        {values: map[string]string{"/registry/secrets/a/x": "box:bad"}, opened: []string{"box"}, found: []string{"/registry/secrets/a/x"}},
		"too many to vouch":  {values: map[string]string{"/registry/secrets/a/x": "box:bad", "/registry/secrets/a/y": "box:bad"}, opened: []string{"box"}, says: "2 are encrypted with box, the first is /registry/secrets/a/x"},
		"another key opens":  {values: map[string]string{"/registry/secrets/a/x": "box:bad", "/registry/secrets/a/y": "gcm:good"}, says: "1 are encrypted with box"},
		"two keys are wrong": {values: map[string]string{"/registry/secrets/a/x": "kms:bad", "/registry/secrets/a/y": "box:bad", "/registry/secrets/a/z": "box:bad"}, says: "(2 are encrypted with box, 1 are encrypted with kms, the first is /registry/secrets/a/x)"},
	} {
		s := &stored{}
		for key, value := range tt.values {
			s.put(key, value)
		}
		var set Set
		found, err := set.Find(t.Context(), source(s, tt.opened...))
		var wrong *WrongKeysError
		if errors.As(err, &wrong) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v", name, err)
		}
		if !slices.Equal(keysOf(found), tt.found) || !slices.Equal(keysOf(set.Objects()), tt.found) {
			t.Errorf("%s: found %q, set aside %q", name, keysOf(found), keysOf(set.Objects()))
		}
	}
}

func TestViewLeavesOutWhatIsSetAside(t *testing.T) {
	s := &stored{}
	for key, value := range map[string]string{"a": "p:bad", "b": "p:bad", "c": "p:good", "d": "p:bad", "e": "p:good", "f": "p:bad"} {
		s.put("/registry/pods/n/"+key, value)
	}
	var set Set
	if _, err := set.Find(t.Context(), source(s)); err != nil {
		t.Fatal(err)
	}
	view, prefix := set.View(s), "/registry/pods/"
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix))
	var names []string
	for from := prefix; ; {
		r, err := view.Get(t.Context(), from, end)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range r.Kvs {
			names = append(names, string(kv.Key))
		}
		if int64(len(r.Kvs)) >= r.Count {
			break
		}
		if len(r.Kvs) == 0 {
			t.Fatalf("an empty page of %d", r.Count)
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
	want := []string{"/registry/pods/n/c", "/registry/pods/n/e"}
	if !slices.Equal(names, want) {
		t.Errorf("pages hold %q", names)
	}
	stream, err := view.GetStream(t.Context(), prefix, end)
	if err != nil {
		t.Fatal(err)
	}
	names = nil
	for chunk := range stream {
		for _, kv := range chunk.Kvs {
			names = append(names, string(kv.Key))
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("the stream holds %q", names)
	}
	if r, err := view.Get(t.Context(), "/registry/pods/n/a"); err != nil || len(r.Kvs) != 1 {
		t.Errorf("a single key: %v, %v", r, err)
	}
}

func TestAdviceForEveryKindOfKey(t *testing.T) {
	apps := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "things"}
	for key, want := range map[string]string{
		"/registry/things/n/x":     "delete it with `kubectl delete --raw '/apis/apps/v1/namespaces/n/things/x?ignoreStoreReadErrorWithClusterBreakingPotential=true'` and create it again",
		"/registry/things/x":       "delete it with `kubectl delete --raw '/apis/apps/v1/things/x?ignoreStoreReadErrorWithClusterBreakingPotential=true'` and create it again",
		"/registry/things/n/x'/?y": "put a copy of the data directory in place of this one",
		"/registry/things/n/x'?y":  "delete it with `kubectl delete --raw '/apis/apps/v1/namespaces/n/things/x%27%3Fy?ignoreStoreReadErrorWithClusterBreakingPotential=true'` and create it again",
	} {
		o := object(key, walk.Places(strings.TrimPrefix(key, Prefix))[0], apps, errors.New("is damaged"))
		if got := o.Advice(); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
}
