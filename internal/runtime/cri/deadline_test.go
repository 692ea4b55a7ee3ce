package cri

import (
	"net"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// endless are the calls that go on as long as the runtime has something to tell.
var endless = map[string]bool{"Events": true}

// TestEveryCallHasADeadline calls every method of the client, with zero values.
func TestEveryCallHasADeadline(t *testing.T) {
	var mu sync.Mutex
	left, requests := map[string]time.Duration{}, 0
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		at, ok := s.Context().Deadline()
		mu.Lock()
		defer mu.Unlock()
		requests++
		left[method] = time.Until(at)
		if !ok {
			left[method] = -1
		}
		return status.Error(codes.Internal, "test")
	}))
	socket := filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(server.Stop)
	client, err := Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	calls := 0
	for i := range reflect.TypeOf(client).NumMethod() {
		method := reflect.TypeOf(client).Method(i)
		if method.Name == "Close" || endless[method.Name] {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(client), reflect.ValueOf(t.Context())}
		for j := 2; j < method.Type.NumIn(); j++ {
			arg := reflect.New(method.Type.In(j)).Elem()
			if arg.Kind() == reflect.Pointer {
				arg.Set(reflect.New(arg.Type().Elem()))
			}
			args = append(args, arg)
		}
		method.Func.Call(args)
		calls++
		mu.Lock()
		if requests != calls {
			t.Errorf("%s made no call, or more than one", method.Name)
		}
		mu.Unlock()
	}
	if calls < 15 {
		t.Errorf("only %d methods", calls)
	}
	for method, left := range left {
		if left <= 0 || left > time.Hour {
			t.Errorf("%s: %s are left", method, left)
		}
	}
}
