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
		Args:  noArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), describe(version)) },
	}
}

// describe is the version in one line: of the program's API first, as /version
// gives it.
func describe(version apiserver.Version) string {
	info := version.Info()
	line := info.GitVersion
	if info.GitCommit != "" {
		line += " commit " + info.GitCommit
	}
	return line + " " + info.GoVersion + " " + info.Platform
}
