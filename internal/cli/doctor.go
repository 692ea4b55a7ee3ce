package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/app"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/doctor"
)

func newDoctor() *cobra.Command {
	defaults := app.Default()
	var dataDir, listen string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show what is missing on this machine and the command that mends it",
		Long: `Show what is missing on this machine for running pods, and the command that mends it.
Nothing is changed. The exit code is 1 when something that pods need is missing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := datadir.Locate(dataDir)
			if err != nil {
				return err
			}
			checks := doctor.Checks(cmd.Context(), doctor.Config{
				Dir:          dir,
				Listen:       listen,
				PodNetwork:   netip.MustParsePrefix(defaults.Network.ClusterCIDR),
				ServiceRange: netip.MustParsePrefix(defaults.Network.ServiceClusterIPRange),
			})
			printChecks(cmd.OutOrStdout(), checks)
			if !doctor.OK(checks) {
				return errors.New("something that pods need is missing; `laterna up --node=false` runs without pods")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", defaults.DataDir, "data directory that the system is to use")
	cmd.Flags().StringVar(&listen, "listen", defaults.Serving.Listen, "address that the API is to be served at")
	return cmd
}

func printChecks(out io.Writer, checks []doctor.Check) {
	for _, c := range checks {
		mark := "ok     "
		switch {
		case !c.OK && c.Required:
			mark = "MISSING"
		case !c.OK:
			mark = "note   "
		}
		fmt.Fprintf(out, "%s  %-18s %s\n", mark, c.Name, c.Detail)
		if c.Fix != "" {
			fmt.Fprintf(out, "         %-18s mend: %s\n", "", c.Fix)
		}
	}
}
