package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/controller/testclock"
)

// clockTimeout bounds how long `clock advance` waits for the server.
const clockTimeout = 10 * time.Second

func newClock() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:   "clock",
		Short: "Move the clock of a system that was started with --test-clock",
	})
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
		Args: oneArg("DURATION"),
		RunE: func(cmd *cobra.Command, args []string) error { return advance(cmd, target, args[0]) },
	}
	target.bind(cmd.Flags())
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		if errors.As(err, &unknown) && strings.ContainsAny(unknown.GetSpecifiedName(), "0123456789.") {
			return errors.New("a negative DURATION goes after two dashes: laterna clock advance -- -1h")
		}
		return flagError(cmd, err)
	})
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
		return fmt.Errorf("moving the clock: %w", explain(err))
	}
	fmt.Fprintln(cmd.OutOrStdout(), clockState(offset))
	return nil
}

// clockState says where the clock is.
func clockState(offset time.Duration) string {
	switch {
	case offset > 0:
		return fmt.Sprintf("the clock is %s ahead of wall time", offset)
	case offset < 0:
		return fmt.Sprintf("the clock is %s behind wall time", -offset)
	}
	return "the clock is at wall time"
}
