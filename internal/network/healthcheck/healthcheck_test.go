package healthcheck_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

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

// TestConnectionsAreBounded holds more connections than there may be, to two services.
func TestConnectionsAreBounded(t *testing.T) {
	const most, more = 256, 100
	servers := healthcheck.New(slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(servers.Close)
	var all []healthcheck.Service
	for _, name := range []string{"one", "two"} {
		all = append(all, healthcheck.Service{Name: healthcheck.Name{Namespace: "ns", Name: name}, Port: free(t), Local: 1})
	}
	if err := servers.Set(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	for n := range most + more {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", all[n%2].Port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	for _, one := range all {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", one.Port))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Error(answer.Status)
		}
	}
	ended := 0
	for _, c := range held {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			ended++
		}
		if ended == more {
			break
		}
	}
	if ended < more {
		t.Errorf("%d of %d connections are held", len(held)-ended, len(held))
	}
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
