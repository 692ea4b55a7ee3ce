package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	only, json, programs, images string
	rounds, pods                 int
	timeout                      time.Duration
	list                         bool
}

func parse() options {
	var o options
	flag.StringVar(&o.only, "only", "", "measure only rows whose name matches this regular `expression`; see -list")
	flag.StringVar(&o.json, "json", "", "write the figures to this `file`, too")
	flag.StringVar(&o.programs, "programs", "", "`directory` with the built programs (default: build them)")
	flag.StringVar(&o.images, "images", "build/images", "`directory` with the archives of `make images`")
	flag.IntVar(&o.rounds, "rounds", 10, "rounds that a median is taken of")
	flag.IntVar(&o.pods, "pods", 100, "pods that run while updates are measured")
	flag.DurationVar(&o.timeout, "timeout", 20*time.Minute, "give up after this time")
	flag.BoolVar(&o.list, "list", false, "list the rows and do nothing")
	flag.Parse()
	return o
}

func run() (err error) {
	o := parse()
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if o.rounds < 1 || o.pods < 1 {
		return errors.New("-rounds and -pods must be at least 1")
	}
	if o.list {
		for _, r := range rows {
			fmt.Printf("%-14s%s\n", r.name, r.what)
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()

	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	r := newReport()
	for _, row := range rows {
		if only.MatchString(row.name) {
			r.add(measure(ctx, b, row))
		}
	}
	r.finish()
	r.print(os.Stdout)
	if o.json != "" {
		raw, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		return errors.Join(r.err(), os.WriteFile(o.json, append(raw, '\n'), 0o644))
	}
	return r.err()
}

// measure takes one row's figures and tells how far the run is.
func measure(ctx context.Context, b *bench, r row) section {
	start := time.Now()
	fmt.Fprintf(os.Stderr, "%-14s", r.name)
	s := section{Name: r.name, What: r.what}
	err := ctx.Err()
	if err == nil {
		s.Figures, err = r.measure(ctx, b)
	}
	if err != nil {
		s.Error = err.Error()
	}
	s.Seconds = time.Since(start).Seconds()
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", s.Seconds, s.Error)
	if err != nil {
		b.tellLogs(os.Stderr)
	}
	return s
}
