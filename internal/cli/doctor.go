package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/doctor"
	"laterna.dev/laterna/internal/etcd/damaged"
	"laterna.dev/laterna/internal/network/servicerange"
)

func newDoctor() *cobra.Command {
	defaults := config.Default()
	var dataDir, listen string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show what is missing on this machine and the command that mends it",
		Long: `Show what is missing on this machine for running pods, and the command that mends it.
Nothing is changed. What is marked FAIL keeps pods from running and makes the exit code 1; a note does not.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := config.Default()
			c.DataDir, c.Serving.Listen = dataDir, listen
			if err := c.Validate(); err != nil {
				return err
			}
			dir, err := datadir.Locate(dataDir)
			if err != nil {
				return err
			}
			pods := netip.MustParsePrefix(defaults.Network.ClusterCIDR)
			services, err := servicerange.Look(cmd.Context(), servicerange.Config{Dir: dir, Pods: pods, Routed: true})
			if err != nil {
				services = servicerange.Default() // a check says who has it
			}
			checks := doctor.Checks(cmd.Context(), doctor.Config{
				Dir:          dir,
				Listen:       listen,
				PodNetwork:   pods,
				ServiceRange: services,
				Damaged: func(ctx context.Context) ([]damaged.Object, error) {
					client, err := targetFlags{dataDir: dataDir}.client()
					if err != nil {
						return nil, err
					}
					return damaged.Ask(ctx, client.Discovery().RESTClient())
				},
			})
			printChecks(cmd.OutOrStdout(), checks)
			if !doctor.OK(checks) {
				return errors.New("pods cannot run here until what is marked FAIL is mended; `laterna up --node=false` runs without pods")
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	bindDataDir(cmd.Flags(), &dataDir)
	cmd.Flags().StringVar(&listen, "listen", defaults.Serving.Listen, "`ADDRESS:PORT` that the API is to be served at")
	return cmd
}

func printChecks(out io.Writer, checks []doctor.Check) {
	for _, c := range checks {
		mark := "ok     "
		switch {
		case !c.OK && c.Required:
			mark = "FAIL   "
		case !c.OK:
			mark = "note   "
		}
		fmt.Fprintf(out, "%s  %-18s %s\n", mark, c.Name, indented(c.Detail))
		if c.Fix != "" {
			fmt.Fprintf(out, "%*s mend: %s\n", detailColumn-1, "", indented(c.Fix))
		}
	}
}

// detailColumn is where the third column of the checks begins.
const detailColumn = 7 + 2 + 18 + 1

// indented keeps the lines of a text, which may be another program's, in the third column.
func indented(text string) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	return strings.Join(lines, fmt.Sprintf("\n%*s", detailColumn, ""))
}
