package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/log"
	"laterna.dev/laterna/internal/proxy"
)

// proxyFlags are those of kubectl proxy, and whose credentials it serves with.
type proxyFlags struct {
	proxy.Flags
	target targetFlags
}

func newProxy() *cobra.Command {
	f := proxyFlags{}
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Serve the API as plain HTTP on this machine, with your credentials or a pod's",
		Long: `Serve the API as plain HTTP on this machine alone: clients need neither TLS nor a token, and
act with the credentials of the proxy. It is kubectl proxy, with the same flags.

In a pod it is the ambassador: a container beside the application that serves the API at
localhost:8001 with the credentials of the pod's service account, which it reads anew for
each request. The image laterna.dev/ambassador is nothing else. With --kubeconfig or
--data-dir it takes those credentials, in a pod, too.

An address that other machines reach is refused: who reaches the proxy has its rights.`,
		Example: `  laterna proxy &
  curl localhost:8001/api/v1/namespaces/default/pods
  laterna proxy --port=0                            # a free port, which it prints
  laterna proxy --www=./site --www-prefix=/site/ --api-prefix=/api/
  laterna proxy --unix-socket=/run/user/1000/api.sock`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.target.bind(cmd.Flags())
	f.Bind(cmd.Flags())
	return cmd
}

func (f *proxyFlags) run(cmd *cobra.Command) error {
	if err := f.Check(); err != nil {
		return usageError(cmd, "%v", err)
	}
	log.BridgeLibraries(log.New(cmd.ErrOrStderr(), 0), 0)
	api, err := f.api()
	if err != nil {
		return err
	}
	return f.Run(cmd.Context(), api, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// api returns how the API is reached: as the flags say, else as the pod that this runs
// in, else as the administrator of the system on this machine.
func (f *proxyFlags) api() (*rest.Config, error) {
	if f.target.kubeconfig == "" && !f.target.flags.Changed("data-dir") {
		if c, err := proxy.InPod(); err != nil || c != nil {
			return c, err
		}
	}
	return f.target.restConfig()
}
