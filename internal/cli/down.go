package cli

import (
	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/app/down"
)

func newDown() *cobra.Command {
	var options down.Options
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop pods and the managed containerd, and remove what they made on the host",
		Long: `Stop the laterna that runs on a data directory, its pods and its containerd, and remove
every mount, link, rule, route and control group that they made. Objects and images stay
unless --purge is given. If nothing runs, it does nothing.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return down.Run(cmd.Context(), options, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().SortFlags = false
	bindDataDir(cmd.Flags(), &options.DataDir)
	cmd.Flags().BoolVar(&options.Purge, "purge", false, "remove the data too: objects, keys, images")
	cmd.Flags().DurationVar(&options.Grace, "grace-period", down.ContainerGrace, "`DURATION` that containers get to end by themselves")
	return cmd
}
