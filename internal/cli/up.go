package cli

import (
	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/up"
)

func newUp(version apiserver.Version) *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in one process: store, API server, controllers, node agent",
		Long: `Run everything in one process: store, API server, controllers, and a node agent with a
private containerd. It runs until SIGINT or SIGTERM; containers go on running and the
next start takes them over. "laterna down" ends them.

The last line on standard output at start is "ready in <ms> ms", the one before sets
KUBECONFIG for a shell; the log goes to standard error.`,
		Example: `  laterna up
  laterna up --node=false --data-dir ~/laterna --listen 127.0.0.1:7443   # not root, no pods
  laterna up --test-clock --service-account-issuer https://tokens.example.com`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &flags, version) },
	}
	flags.bind(cmd.Flags(), true)
	return cmd
}

func newServer(version apiserver.Version) *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run store, API server and controllers, without a node agent",
		Long: `Run store, API server and controllers in one process, without a node agent: pods stay
Pending. It needs no root and runs until SIGINT or SIGTERM. Standard
output is that of "laterna up".`,
		Example: `  laterna server --data-dir ~/laterna --listen 127.0.0.1:7443`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags.config.Node.Enabled = false
			return run(cmd, &flags, version)
		},
	}
	flags.bind(cmd.Flags(), false)
	return cmd
}

func run(cmd *cobra.Command, flags *configFlags, version apiserver.Version) error {
	node := flags.config.Node.Enabled
	config, err := flags.complete()
	if err != nil {
		return err
	}
	config.Node.Enabled = config.Node.Enabled && node
	return up.Run(cmd.Context(), config, cmd.OutOrStdout(), cmd.ErrOrStderr(), version)
}
