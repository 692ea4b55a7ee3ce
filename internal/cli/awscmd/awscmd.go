// Package awscmd are the commands below `laterna aws`: they prepare accounts of the
// system's own IAM.
//
// It owns their flags and what they print. How commands find a system, and how all of them
// speak of mistakes, is internal/cli's and handed over as a Shell; what is prepared is
// internal/aws/setup's.
package awscmd

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/inspect"
)

// Shell is what all commands share.
type Shell struct {
	// Parent makes a command that only has others below it, NoArgs refuses arguments.
	Parent func(*cobra.Command) *cobra.Command
	NoArgs cobra.PositionalArgs
	// Usage is an error of how a command is called, Explain says what to do about one.
	Usage   func(cmd *cobra.Command, format string, args ...any) error
	Explain func(error) error
	// Target defines the flags by which a system is found.
	Target func(*pflag.FlagSet) Target
}

// Target is the system that the flags name.
type Target interface {
	// REST returns how its API is reached, System what is asked of its issuers.
	REST() (*rest.Config, error)
	System() (*inspect.System, error)
	// Authority is the file with the certificate of its authority; "" where none is known.
	Authority() string
}

// New returns the command.
func New(s Shell) *cobra.Command {
	cmd := s.Parent(&cobra.Command{
		Use:   "aws",
		Short: "Let pods assume roles as on EKS, with the system's own IAM and STS",
		Long: `Let pods assume roles as on EKS, with the system's own IAM and STS. They are served at
/aws/ of the API, where the AWS CLI and SDKs find them by --endpoint-url, and answer as
AWS's do. kubectl sees the same objects: kubectl get roles.iam.laterna.dev.`,
	})
	cmd.AddCommand(newInit(s), newExplain(s))
	return cmd
}
