package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/cli/awscmd"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/inspect"
)

func newAWS() *cobra.Command {
	return awscmd.New(awscmd.Shell{
		Parent: parent, NoArgs: noArgs, Usage: usageError, Explain: explain,
		Target: func(fs *pflag.FlagSet) awscmd.Target {
			t := &awsTarget{}
			t.bind(fs)
			return t
		},
	})
}

// awsTarget is the system that the flags of such a command name.
type awsTarget struct{ targetFlags }

// REST implements awscmd.Target.
func (t *awsTarget) REST() (*rest.Config, error) { return t.restConfig() }

// System implements awscmd.Target.
func (t *awsTarget) System() (*inspect.System, error) { return t.system() }

// Authority implements awscmd.Target.
func (t *awsTarget) Authority() string {
	if local := t.local(); local != "" {
		if dir, err := datadir.Locate(local); err == nil {
			return filepath.Join(dir.PKI(), "ca.crt")
		}
	}
	return ""
}
