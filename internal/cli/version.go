package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/apiserver"
)

func newVersion(version apiserver.Version) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and of the API it speaks",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			info := version.Info()
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", info.GitVersion, info.GoVersion, info.Platform)
		},
	}
}
