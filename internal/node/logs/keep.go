package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// rotateEvery is how often the sizes of logs are looked at.
const rotateEvery = 10 * time.Second

// Running is the log of a container that runs.
type Running struct {
	// Path is relative to the directory of all logs.
	Path string
	// Reopen has the runtime write to a new file of the name.
	Reopen func() error
}

// Keep keeps the logs of running containers small until ctx ends.
func Keep(ctx context.Context, root *os.Root, running func(context.Context) []Running, wall clock.Wall, log *slog.Logger) {
	ticker := wall.NewTicker(rotateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		for _, r := range running(ctx) {
			if err := Rotate(root, r.Path, wall.Now(), r.Reopen); err != nil {
				log.Warn("log not rotated", "log", r.Path, "error", err)
			}
		}
	}
}

// Retain removes the logs of all pods but those that are known, by their UID, which is at
// the end of the name of a pod's directory.
func Retain(root *os.Root, known func(uid string) bool) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("listing logs: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if known(e.Name()[strings.LastIndexByte(e.Name(), '_')+1:]) {
			continue
		}
		if err := root.RemoveAll(e.Name()); err != nil {
			errs = append(errs, fmt.Errorf("removing old logs: %w", err))
		}
	}
	return errors.Join(errs...)
}
