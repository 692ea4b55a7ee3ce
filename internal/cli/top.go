package cli

import (
	"os"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/top"
	"laterna.dev/laterna/internal/top/watched"
)

func newTop() *cobra.Command {
	var target targetFlags
	var namespace string
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live what pods have loaded, and how long their tokens live",
		Long: `Show live what pods have loaded and what happened at their last updates, and how long
their tokens live. Tab goes to volumes, tokens and updates, enter shows all of a pod,
s sorts, / filters, q leaves. What is shown is what the user of the kubeconfig may read.
The same is in a browser at /projections/, by kubectl proxy.

Where the output is not a terminal the table of pods is printed once.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := target.restConfig()
			if err != nil {
				return err
			}
			wall := clock.Real()
			w, err := watched.New(watched.Config{API: config, Namespace: namespace, Clock: wall})
			if err != nil {
				return err
			}
			c := top.Config{Watched: w, Clock: wall}
			in, isFile := cmd.InOrStdin().(*os.File)
			if out, ok := cmd.OutOrStdout().(*os.File); ok && isFile && paint.IsTerminal(in) && paint.IsTerminal(out) && os.Getenv("TERM") != "dumb" {
				return top.Show(cmd.Context(), c, in, out)
			}
			return explain(top.Print(cmd.Context(), c, cmd.OutOrStdout()))
		},
	}
	target.bind(cmd.Flags())
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "`NAMESPACE` whose pods are shown (default: all)")
	return cmd
}
