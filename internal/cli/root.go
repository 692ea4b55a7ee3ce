package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
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
// for success, 1 when the command failed, or what the command documents.
func Main(args []string, streams Streams, version apiserver.Version) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end, the second one ends at once.
	context.AfterFunc(ctx, stop)
	root := newRoot(streams, version)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(streams.Err, "laterna:", strings.TrimSuffix(line, "\n"))
		}
		return codeOf(err)
	}
	return 0
}

// The groups under which the help shows the commands.
const (
	groupRun      = "run"
	groupLook     = "look"
	groupIdentity = "identity"
	groupUse      = "use"
)

func newRoot(streams Streams, version apiserver.Version) *cobra.Command {
	root := parent(&cobra.Command{
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
		Version:       version.Info().GitVersion,
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	// Of its own, as cobra's takes -v, which is the verbosity elsewhere.
	root.Flags().Bool("version", false, "print the version")
	root.SetVersionTemplate(describe(version) + "\n")
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run a system"},
		&cobra.Group{ID: groupLook, Title: "Look at it"},
		&cobra.Group{ID: groupIdentity, Title: "Tokens, issuers and keys"},
		&cobra.Group{ID: groupUse, Title: "The API, images and the clock"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupRun, newUp(version), newServer(version), newDown())
	add(groupLook, newTop(), newStatus(), newDoctor(), newVersion(version))
	add(groupIdentity, newIssuer(), newKeys(), newEncryption(), newToken(), newKubeconfig(), newAWS(), newWebhook(version))
	add(groupUse, newProxy(), newImage(), newClock())
	root.AddCommand(newClusterDNS())
	return root
}
