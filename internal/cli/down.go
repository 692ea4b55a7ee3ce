package cli

import (
	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/app"
	"laterna.dev/laterna/internal/datadir"
)

func newDown() *cobra.Command {
	var options app.DownOptions
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop pods and the managed containerd, and remove what they made on the host",
		Long: `Stop the laterna that runs on a data directory, its pods and its containerd, and remove
every mount, link, rule, route and control group that they made. Objects and images stay
unless --purge is given.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.Down(cmd.Context(), options, app.Output{Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()})
		},
	}
	cmd.Flags().StringVar(&options.DataDir, "data-dir", datadir.Default(), "data directory of the system")
	cmd.Flags().BoolVar(&options.Purge, "purge", false, "remove the data directory too: objects, keys, images")
	cmd.Flags().DurationVar(&options.Grace, "grace-period", app.ContainerGrace, "time that containers get to end by themselves")
	return cmd
}
