package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/aws/podidentity/command"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/log"
)

func newWebhook(version apiserver.Version) *cobra.Command {
	f := command.New(clock.Real())
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Serve the pod identity webhook for other clusters",
		Long: `Serve the pod identity webhook for other clusters: AdmissionReviews of pods, answered as the
Amazon EKS Pod Identity Webhook answers them, with its flags, paths and metrics. A system
of "laterna up" does not need it, since it injects by itself.

Service accounts are read from the cluster for each pod, so that a pod that comes right
after an annotation has its role. While the cluster's API does not answer, what was seen
before counts; where nothing was, the answer is status 500 and the failure policy decides.

With --print-manifests it prints what runs it in a cluster instead: the flags that are given
besides are those of the server there. Print them again before a year has passed: so long
the certificate in them is good.`,
		Example: `  laterna webhook --print-manifests --image registry.example.com/laterna:1 | kubectl apply -f -
  laterna webhook --kubeconfig ~/.kube/config --tls-cert tls.crt --tls-key tls.key --port 8443
  laterna webhook --print-manifests --url https://webhook.example.com:8443/mutate --ca-file ca.crt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWebhook(cmd, f, version) },
	}
	f.Bind(cmd.Flags(), section)
	return cmd
}

func runWebhook(cmd *cobra.Command, f *command.Flags, version apiserver.Version) error {
	if f.Version() {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), describe(version))
		return err
	}
	if err := f.Check(); err != nil {
		return usageError(cmd, "%v", err)
	}
	l := log.New(cmd.ErrOrStderr(), f.Verbosity())
	log.BridgeLibraries(l, f.Verbosity())
	return f.Run(cmd.Context(), cmd.OutOrStdout(), l)
}
