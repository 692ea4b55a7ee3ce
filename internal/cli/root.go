package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/apiserver"
)

// Streams are the standard streams of a command.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the program with args (without its name) and returns the exit code: 0
// for success, 1 when the command failed.
func Main(args []string, streams Streams, version apiserver.Version) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	root := newRoot(streams, version)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(streams.Err, "laterna:", err)
		return 1
	}
	return 0
}

func newRoot(streams Streams, version apiserver.Version) *cobra.Command {
	root := &cobra.Command{
		Use:   "laterna",
		Short: "Projected volumes and bound service account tokens, without a cluster",
		Long: `laterna speaks the Kubernetes API and does the whole job that Kubernetes does around
projected volumes and bound service account tokens: it issues, checks and rotates
tokens, runs pods, and keeps the files of their volumes fresh within milliseconds.

Start with:
  laterna doctor                                   # what this machine lacks
  laterna up                                       # as root: the whole system
  export KUBECONFIG=/var/lib/laterna/kubeconfig
  kubectl get pods`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          help,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newUp(version), newServer(version), newDown(), newStatus(), newDoctor(),
		newImage(), newClock(), newVersion(version),
	)
	return root
}

// help is what a command does that only has others. Without it cobra takes a
// command that it does not know for an argument, and succeeds.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }
