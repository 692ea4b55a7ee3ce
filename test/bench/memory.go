package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"laterna.dev/laterna/test/system"
)

// settle is how long a system idles before its memory is read.
const settle = 10 * time.Second

// memoryRounds is the number of fresh systems that the median is taken of.
func (b *bench) memoryRounds() int { return min(b.rounds, 5) }

func measureMemory(ctx context.Context, b *bench) ([]figure, error) {
	return b.measureMemory(ctx, "resident memory, idle, without a node", 90, "--node=false")
}

func measureMemoryNode(ctx context.Context, b *bench) ([]figure, error) {
	return b.measureMemory(ctx, "resident memory, idle, with containerd", 150)
}

// measureMemory reads the memory of fresh systems that idle.
func (b *bench) measureMemory(ctx context.Context, what string, budget float64, flags ...string) ([]figure, error) {
	var all []memory
	for range b.memoryRounds() {
		m, err := b.memoryOfOne(ctx, len(flags) == 0, flags)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b memory) int { return cmp.Compare(a.rss, b.rss) })
	m := all[(len(all)-1)/2]
	return []figure{{
		What: what, Value: m.rss, Unit: "MiB", Budget: budget,
		Note: fmt.Sprintf("sum of RSS %s after ready, n=%d: %s", settle, len(all), m.parts()),
	}}, nil
}

func (b *bench) memoryOfOne(ctx context.Context, node bool, flags []string) (memory, error) {
	s, err := b.started(flags...)
	if err != nil {
		return memory{}, err
	}
	if node {
		if err := awaitNode(ctx, s); err != nil {
			return memory{}, err
		}
	}
	if err := pause(ctx, settle); err != nil {
		return memory{}, err
	}
	m, err := occupied(s)
	if err != nil {
		return memory{}, err
	}
	return m, b.remove(s)
}

// awaitNode returns when the node is ready for pods.
func awaitNode(ctx context.Context, s *system.System) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client, err := s.Client()
	if err != nil {
		return err
	}
	for {
		ready, err := nodeReady(ctx, client)
		if ready || err != nil {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for the node: %w: %s", err, lastLines(s.Log()))
		}
	}
}
