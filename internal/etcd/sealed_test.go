package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/tokens/keys"
)

// flip is a Sealer for tests: it inverts all bits and binds the key's length.
type flip struct{}

func (flip) Seal(_ context.Context, key string, plain []byte) ([]byte, error) {
	out := []byte{byte(len(key))}
	for _, b := range plain {
		out = append(out, ^b)
	}
	return out, nil
}

func (flip) Open(_ context.Context, key string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != byte(len(key)) {
		return nil, errors.New("sealed under another key")
	}
	var out []byte
	for _, b := range sealed[1:] {
		out = append(out, ^b)
	}
	return out, nil
}

func newClient(t *testing.T) *clientv3.Client {
	t.Helper()
	_, e := start(t, t.TempDir())
	client, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestSealed(t *testing.T) {
	client := newClient(t)
	value := etcd.NewSealed(client, "keys", flip{})
	ctx := t.Context()

	if data, rev, err := value.Load(ctx); data != nil || rev != 0 || err != nil {
		t.Fatalf("Load() of nothing = %q, %d, %v", data, rev, err)
	}
	first, err := value.Store(ctx, []byte("private"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := value.Store(ctx, []byte("other"), 0); !errors.Is(err, keys.ErrConflict) {
		t.Errorf("second creation: %v", err)
	}
	data, rev, err := value.Load(ctx)
	if string(data) != "private" || rev != first || err != nil {
		t.Errorf("Load() = %q, %d, %v", data, rev, err)
	}
	second, err := value.Store(ctx, []byte("changed"), first)
	if err != nil || second <= first {
		t.Errorf("Store() = %d, %v", second, err)
	}
	if _, err := value.Store(ctx, []byte("late"), first); !errors.Is(err, keys.ErrConflict) {
		t.Errorf("late writer: %v", err)
	}
	raw, err := client.Get(ctx, "/laterna/keys")
	if err != nil || len(raw.Kvs) != 1 || bytes.Contains(raw.Kvs[0].Value, []byte("changed")) {
		t.Errorf("raw value: %v, %v", raw, err)
	}
}

func TestSealedWatch(t *testing.T) {
	value := etcd.NewSealed(newClient(t), "keys", flip{})
	changes := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- value.Watch(ctx, func() { changes <- struct{}{} }) }()
	<-changes // has begun
	rev := int64(0)
	for range 3 {
		var err error
		if rev, err = value.Store(ctx, []byte("x"), rev); err != nil {
			t.Fatal(err)
		}
		<-changes
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch() = %v", err)
	}
}
