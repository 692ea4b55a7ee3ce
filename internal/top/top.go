package top

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/top/picture"
	"laterna.dev/laterna/internal/top/watched"
)

// Config is what is looked at, and by whom.
type Config struct {
	Watched *watched.Watched
	Clock   clock.Wall
}

// Show draws until the user leaves or ctx ends.
func Show(ctx context.Context, c Config, in, out *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); c.Watched.Run(ctx) }()
	_, err := tea.NewProgram(newScreen(c), tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	cancel()
	<-ended
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled) {
		return nil // a signal asked for the end
	}
	return err
}

// printTimeout bounds how long Print waits for the API.
const printTimeout = 10 * time.Second

// Print writes the table of pods once.
func Print(ctx context.Context, c Config, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, printTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); c.Watched.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	for !c.Watched.Ready() && ctx.Err() == nil {
		select {
		case <-c.Watched.Changed():
		case <-ctx.Done():
		}
	}
	if err := cmp.Or(c.Watched.Failed(), ctx.Err()); err != nil {
		return fmt.Errorf("reading pods: %w", plain.Error(err))
	}
	pods := picture.Of(c.Watched.Snapshot())
	if len(pods) == 0 {
		_, err := fmt.Fprintln(out, "No pods.")
		return err
	}
	picture.Sort(pods, picture.ByAttention)
	columns, rows := table(podsView, pods, moment{c.Watched.Time(), c.Clock.Now()})
	const wide = 1 << 16 // a file has no edge
	sizes := widths(columns, rows, wide)
	asIs := func(_ cell, text string) string { return text }
	fmt.Fprintln(out, line(heads(columns), sizes, asIs))
	for _, r := range rows {
		if _, err := fmt.Fprintln(out, line(r.cells, sizes, asIs)); err != nil {
			return err
		}
	}
	return nil
}

func heads(columns []column) []cell {
	var cells []cell
	for _, c := range columns {
		cells = append(cells, cell{c.title, faint})
	}
	return cells
}
