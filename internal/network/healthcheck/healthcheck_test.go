package healthcheck_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/network/healthcheck"
)

func free(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestHealthIsToldWhileItIsAskedFor(t *testing.T) {
	servers := healthcheck.New(slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(servers.Close)
	one := healthcheck.Service{Name: healthcheck.Name{Namespace: "ns", Name: "web"}, Port: free(t)}
	for _, tt := range []struct {
		local, status int
	}{{0, 503}, {2, 200}, {1, 200}, {0, 503}} {
		one.Local = tt.local
		if err := servers.Set(t.Context(), []healthcheck.Service{one}); err != nil {
			t.Fatal(err)
		}
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", one.Port))
		if err != nil {
			t.Fatal(err)
		}
		var said map[string]any
		err = json.NewDecoder(answer.Body).Decode(&said)
		answer.Body.Close()
		want := fmt.Sprintf("map[localEndpoints:%d service:map[name:web namespace:ns] serviceProxyHealthy:true]", tt.local)
		if err != nil || answer.StatusCode != tt.status || fmt.Sprint(said) != want || answer.Header.Get("X-Load-Balancing-Endpoint-Weight") != fmt.Sprint(tt.local) {
			t.Errorf("%d endpoints: %s %v %v, %v", tt.local, answer.Status, answer.Header, said, err)
		}
	}
	former := one.Port
	one.Port = free(t)
	if err := servers.Set(t.Context(), []healthcheck.Service{one}); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", former)); err == nil {
		t.Error("the former port still answers")
	}
	other := healthcheck.Service{Name: healthcheck.Name{Namespace: "ns", Name: "other"}, Port: one.Port}
	if err := servers.Set(t.Context(), []healthcheck.Service{one, other}); err == nil || !strings.Contains(err.Error(), "ns/other") {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := servers.Set(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", one.Port)); err == nil {
		t.Error("it is told of a service that is gone")
	}
}
