package cli

import (
	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/dns"
	"laterna.dev/laterna/internal/network/dns/server"
)

// newClusterDNS is the process in which a node's DNS runs. Nobody calls it but the node: it
// needs descriptors that are opened for it.
func newClusterDNS() *cobra.Command {
	return &cobra.Command{
		Use:    dns.Command,
		Short:  "Answer a node's pods about names; started by the node itself",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1), // the data directory, for listings of processes
		RunE: func(cmd *cobra.Command, _ []string) error {
			return server.Run(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), clock.Real())
		},
	}
}
