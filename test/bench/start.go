package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"laterna.dev/laterna/test/system"
)

const (
	// startLimit is after which a start counts as failed.
	startLimit = time.Minute
	// pollPeriod is how exactly the poller sees a start.
	pollPeriod = time.Millisecond
)

// poller asks /readyz over TLS as a stranger would: it knows no certificate
// authority, as there is none before a first start.
type poller struct {
	url    string
	client http.Client
}

func newPoller(s *system.System) *poller {
	return &poller{url: "https://" + s.Listen + "/readyz", client: http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		Timeout:   startLimit,
	}}
}

// await returns when /readyz has answered 200.
func (p *poller) await(ctx context.Context) (time.Time, error) {
	defer p.client.CloseIdleConnections()
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	for {
		if p.ready(ctx) {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-ticker.C:
		}
	}
}

func (p *poller) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return false
	}
	response, err := p.client.Do(request)
	if err != nil {
		return false // nobody listens yet
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusOK
}

// started is one start of the program.
type started struct {
	begin time.Time     // just before the process was made
	seen  time.Duration // until a stranger saw it ready
	own   time.Duration // what it says itself
	cpu   time.Duration // what laterna's process used until it was seen ready
}

// launch starts the program and returns when a stranger has seen it ready.
func launch(ctx context.Context, s *system.System) (started, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	out := started{begin: time.Now()}
	said, err := s.Launch()
	if err != nil {
		return out, err
	}
	go func() {
		select {
		case <-s.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	at, err := newPoller(s).await(ctx)
	if err != nil {
		return out, fmt.Errorf("waiting for /readyz: %w: %s", err, lastLines(s.Log()))
	}
	out.seen = at.Sub(out.begin)
	if out.cpu, err = cpuTime(s.PID()); err != nil {
		return out, err
	}
	select {
	case <-said:
		out.own = s.ReadyIn()
		return out, nil
	case <-ctx.Done():
		return out, fmt.Errorf("the program does not say that it is ready: %w", ctx.Err())
	}
}

// starts are several starts.
type starts struct{ seen, own, cpu durations }

func (s *starts) figure(what string, budget time.Duration) figure {
	f := s.seen.figure(what, budget)
	f.Note += fmt.Sprintf("; says itself %s ms; %s ms CPU", number(ms(s.own.median())), number(ms(s.cpu.median())))
	return f
}

func (s *starts) launch(ctx context.Context, sys *system.System) error {
	one, err := launch(ctx, sys)
	if err == nil {
		s.seen, s.own, s.cpu = append(s.seen, one.seen), append(s.own, one.own), append(s.cpu, one.cpu)
	}
	return err
}

func measureStart(ctx context.Context, b *bench) ([]figure, error) {
	return b.measureStarts(ctx, "without a node", "--node=false")
}

func measureStartNode(ctx context.Context, b *bench) ([]figure, error) {
	return b.measureStarts(ctx, "with a node")
}

// measureStarts takes cold starts, each on a new data directory, and warm ones, all
// on the same. The first start is not counted: it reads the program from disk.
func (b *bench) measureStarts(ctx context.Context, how string, flags ...string) ([]figure, error) {
	same, err := b.started(flags...)
	if err != nil {
		return nil, err
	}
	var cold, warm starts
	for range b.rounds {
		if err := errors.Join(same.Stop(), warm.launch(ctx, same)); err != nil {
			return nil, err
		}
	}
	if err := b.remove(same); err != nil {
		return nil, err
	}
	for range b.rounds {
		s, err := b.system(flags...)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(cold.launch(ctx, s), b.remove(s)); err != nil {
			return nil, err
		}
	}
	return []figure{
		cold.figure("process start → /readyz, cold, "+how, 250*time.Millisecond),
		warm.figure("process start → /readyz, warm, "+how, 200*time.Millisecond),
	}, nil
}
