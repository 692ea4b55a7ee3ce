package serviceapi

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	testclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/healthcheck"
	"laterna.dev/laterna/internal/network/services"
)

// noRouter takes everything.
type noRouter struct{}

func (noRouter) Compile(services.Service, []services.Slice, services.Node) *services.Unit {
	return &services.Unit{Local: 1}
}
func (noRouter) Set(context.Context, map[services.Name]*services.Unit) error { return nil }
func (noRouter) Sweep(context.Context) error                                 { return nil }

// TestHealthThatCouldNotBeToldIsToldAgain without a change of the API.
func TestHealthThatCouldNotBeToldIsToldAgain(t *testing.T) {
	fake, told := testclock.NewFakeClock(time.Now()), make(chan int, 10)
	attempts := 0
	f := New(Config{
		Node: "here", Router: noRouter{}, Clock: clock.WallOf(fake), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Health: func(_ context.Context, all []healthcheck.Service) error {
			attempts++
			told <- len(all)
			if attempts < 3 {
				return errors.New("in use")
			}
			return nil
		},
	})
	one := web("a", "10.96.0.1")
	one.Spec.Type, one.Spec.ExternalTrafficPolicy, one.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, "Local", 31000
	if err := errors.Join((&serviceStore{f.view}).Replace([]any{one}, "1"), (&sliceStore{f.view}).Replace(nil, "1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.write(ctx)
	}()
	for end := time.Now().Add(10 * time.Second); len(told) < 3 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		fake.Step(time.Second)
	}
	for range 100 {
		fake.Step(time.Second)
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if len(told) != 3 {
		t.Fatalf("told %d times, want until there is no error: 3", len(told))
	}
	for range 3 {
		if n := <-told; n != 1 {
			t.Errorf("told of %d services", n)
		}
	}
}
