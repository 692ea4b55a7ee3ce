package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/test/system"
)

const (
	warmUp   = 500 * time.Millisecond
	loadTime = 3 * time.Second
)

// errExhausted ends a client whose work is done before the time is over.
var errExhausted = errors.New("nothing is left to do")

// operation is one request of a client; n counts the client's requests.
type operation func(ctx context.Context, client kubernetes.Interface, id, n int) error

// loaded is what a load cost.
type loaded struct {
	requests int
	cpu      time.Duration // of the server
	wall     time.Duration
	times    durations
}

// figure returns the server's CPU time a request.
func (l loaded) figure(what string, budget float64) figure {
	each := ms(l.cpu) / float64(l.requests)
	return figure{
		What: what, Value: each, Unit: "ms CPU", Budget: budget,
		Note: fmt.Sprintf("%s a CPU-second, %s/s; client waits p50 %s, p99 %s ms; n=%d", number(1000/each),
			number(float64(l.requests)/l.wall.Seconds()), number(ms(l.times.median())), number(ms(l.times.quantile(0.99))), l.requests),
	}
}

// clients returns n clients, each with a connection of its own.
func clients(s *system.System, n int) ([]kubernetes.Interface, error) {
	var all []kubernetes.Interface
	for range n {
		config, err := s.Config()
		if err != nil {
			return nil, err
		}
		config.Dial = new(net.Dialer).DialContext // a dialler of its own keeps the connection apart
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		all = append(all, client)
	}
	return all, nil
}

// load lets all clients repeat an operation for loadTime and returns what it cost
// the server. What ran before that, for warmUp, does not count.
func load(ctx context.Context, s *system.System, all []kubernetes.Interface, op operation) (loaded, error) {
	l := &loader{op: op, counts: make([]int, len(all))}
	if _, err := l.run(ctx, all, warmUp); err != nil {
		return loaded{}, err
	}
	before, err := cpuTime(s.PID())
	if err != nil {
		return loaded{}, err
	}
	begin := time.Now()
	times, err := l.run(ctx, all, loadTime)
	if err != nil {
		return loaded{}, err
	}
	wall := time.Since(begin)
	after, err := cpuTime(s.PID())
	if err == nil && len(times) == 0 {
		err = errors.New("no request was measured")
	}
	return loaded{requests: len(times), cpu: after - before, wall: wall, times: times}, err
}

// loader counts the requests of every client over several runs.
type loader struct {
	op     operation
	counts []int
}

func (l *loader) run(ctx context.Context, all []kubernetes.Interface, d time.Duration) (durations, error) {
	end := time.Now().Add(d)
	times, errs := make([]durations, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for id, client := range all {
		wg.Go(func() { times[id], errs[id] = l.client(ctx, client, id, end) })
	}
	wg.Wait()
	var out durations
	for _, t := range times {
		out = append(out, t...)
	}
	return out, errors.Join(errs...)
}

func (l *loader) client(ctx context.Context, client kubernetes.Interface, id int, end time.Time) (durations, error) {
	var times durations
	for begin := time.Now(); begin.Before(end); begin = time.Now() {
		err := l.op(ctx, client, id, l.counts[id])
		l.counts[id]++
		if errors.Is(err, errExhausted) {
			break
		}
		if err != nil {
			return times, err
		}
		times = append(times, time.Since(begin))
	}
	return times, nil
}
