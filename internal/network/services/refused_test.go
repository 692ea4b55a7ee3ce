package services

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/nftables"
)

// choosy is an nft that refuses whatever has one of the words.
type choosy struct {
	*knftables.Fake
	words []string
	runs  int
}

func (c *choosy) Run(ctx context.Context, tx *knftables.Transaction) error {
	c.runs++
	if err := c.takes(tx); err != nil {
		return err
	}
	return c.Fake.Run(ctx, tx)
}

func (c *choosy) Check(ctx context.Context, tx *knftables.Transaction) error {
	if err := c.takes(tx); err != nil {
		return err
	}
	return c.Fake.Check(ctx, tx)
}

func (c *choosy) takes(tx *knftables.Transaction) error {
	for _, w := range c.words {
		if strings.Contains(tx.String(), w) {
			return errors.New("not " + w)
		}
	}
	return nil
}

// TestOneServiceThatNftRefusesIsLeftOut until it changes, and the others are written.
func TestOneServiceThatNftRefusesIsLeftOut(t *testing.T) {
	nft := &choosy{Fake: knftables.NewFake(nftables.IPv4, "laterna-x"), words: []string{"ns/b/", "ns/y/"}}
	var log strings.Builder
	cfg := testConfig()
	cfg.Clock, cfg.Log = clock.Real(), slog.New(slog.NewTextHandler(&log, nil))
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.nft = nft
	set := func(endpoints int, names string) {
		t.Helper()
		units := map[Name]*Unit{}
		for _, n := range names {
			units[Name{"ns", string(n)}] = outside(string(n), endpoints)
		}
		if err := r.Set(t.Context(), units); err != nil {
			t.Errorf("%s: %v", names, err)
		}
	}
	led := func() (names string) {
		for _, n := range "abcdexyz" {
			if strings.Contains(nft.Dump(), "ns/"+string(n)+"/") {
				names += string(n)
			}
		}
		return names
	}
	for _, step := range []struct {
		endpoints    int
		names, taken string
		logged       int
	}{
		{1, "abcde", "acde", 1},
		{1, "xyz", "acdexz", 1},
		{2, "a", "acdexz", 0},
		{1, "b", "acdexz", 0}, // has not changed
		{2, "b", "acdexz", 1},
	} {
		log.Reset()
		set(step.endpoints, step.names)
		if got := led(); got != step.taken {
			t.Errorf("after %s: %s are led to, want %s", step.names, got, step.taken)
		}
		if n := strings.Count(log.String(), "until it changes"); n != step.logged {
			t.Errorf("after %s: %d were told of, want %d", step.names, n, step.logged)
		}
	}
	nft.words = nil
	set(1, "b")
	if got := led(); got != "abcdexz" {
		t.Errorf("taken again: %s", got)
	}
	// What is not for a service leaves none out.
	nft.words = []string{"laterna-x"}
	if err := r.Set(t.Context(), map[Name]*Unit{{"ns", "c"}: outside("c", 2)}); err == nil || len(r.refused) != 1 {
		t.Errorf("nft refuses everything: %v, %v", err, r.refused)
	}
	nft.words = nil
	runs := nft.runs
	set(2, "c")
	if nft.runs == runs {
		t.Error("after nft has refused everything nothing is written")
	}
}

// TestWhatNftItselfRefusesIsLeftOut: what it cannot read, and what the kernel does not take.
func TestWhatNftItselfRefusesIsLeftOut(t *testing.T) {
	cfg := testConfig()
	cfg.Table, cfg.Clock, cfg.Log = "laterna-testr", clock.Real(), slog.New(slog.NewTextHandler(t.Output(), nil))
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nftables.Remove(context.Background(), nftables.IPv4, cfg.Table); err != nil {
			t.Error(err)
		}
	})
	units := map[Name]*Unit{{"ns", "a"}: outside("a", 1), {"ns", "b"}: outside("b", 1)}
	for name, rule := range map[string]string{"unread": "no rule", "nowhere": "goto absent"} {
		units[Name{"ns", name}] = &Unit{name: Name{"ns", name}, chains: []chain{{name, []string{rule}}}}
	}
	if err := r.Set(t.Context(), units); err != nil {
		t.Fatal(err)
	}
	lines, err := nftables.Listing(t.Context(), nftables.IPv4, cfg.Table)
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "-ns/a/") || !strings.Contains(all, "-ns/b/") || len(r.refused) != 2 {
		t.Errorf("%d are left out of\n%s", len(r.refused), all)
	}
}
