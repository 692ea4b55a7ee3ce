package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/controller/testclock"
)

// clockTimeout bounds how long `clock advance` waits for the server.
const clockTimeout = 10 * time.Second

func newClock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Move the clock of a system that was started with --test-clock",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newClockAdvance())
	return cmd
}

func newClockAdvance() *cobra.Command {
	var target targetFlags
	cmd := &cobra.Command{
		Use:   "advance DURATION",
		Short: "Move the clock of all components by a duration",
		Long: `Move the clock of all components by a duration, such as 24h or 90s. The clock governs
the life of tokens, keys and credentials, back-offs and rotation; TLS, object timestamps
and heartbeats stay on wall time. The offset survives restarts. A negative duration
(after --) moves it back.`,
		Example: `  laterna clock advance 24h
  laterna clock advance -- -1h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return advance(cmd, target, args[0]) },
	}
	target.bind(cmd.Flags())
	return cmd
}

func advance(cmd *cobra.Command, target targetFlags, by string) error {
	d, err := time.ParseDuration(by)
	if err != nil {
		return fmt.Errorf("%q is not a duration; write it as 90s, 30m or 24h", by)
	}
	client, err := target.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), clockTimeout)
	defer cancel()
	offset, err := testclock.Advance(ctx, client, d)
	if apierrors.IsNotFound(err) {
		return errors.New("this system runs without a test clock; start it with --test-clock")
	}
	if err != nil {
		return fmt.Errorf("moving the clock: %w", err)
	}
	sign := ""
	if offset >= 0 {
		sign = "+"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "clock is at wall time %s%s\n", sign, offset)
	return nil
}
