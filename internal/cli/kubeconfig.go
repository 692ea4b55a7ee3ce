package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/replace"
	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/pki"
)

// kubeconfigFlags say for whom a kubeconfig is made.
type kubeconfigFlags struct {
	target         targetFlags
	user           string
	groups         []string
	serviceAccount string
	namespace      string
	server         string
	expires        time.Duration
	output         string
}

// shortestLife keeps a person from making credentials that end before they are used.
const shortestLife = time.Minute

func newKubeconfig() *cobra.Command {
	f := kubeconfigFlags{}
	cmd := &cobra.Command{
		Use:   "kubeconfig (--user NAME | --service-account NAMESPACE/NAME)",
		Short: "Make a kubeconfig for somebody else, with credentials that end",
		Long: `Make a kubeconfig for somebody else, with credentials that end. It can do what roles allow
its user, group or service account: without a RoleBinding or ClusterRoleBinding that is
next to nothing.

--user makes a client certificate. It is signed with the authority's key in the data
directory, so run this as the user who started laterna. Nothing can call a certificate
back before it ends: keep --expires short, or take the rights of its user away.

--service-account asks the API for a token of a service account, which ends earlier when
the account is deleted.

Where the kubeconfig is used on another machine, --listen of the system must name an
address that is reached from there, and --server an address or name of this machine.`,
		Example: `  laterna kubeconfig --user alice --group developers --expires 8h -o alice.kubeconfig
  kubectl create clusterrolebinding developers --clusterrole view --group developers
  laterna kubeconfig --service-account ci/deployer --expires 1h > deployer.kubeconfig`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.target.bind(cmd.Flags())
	cmd.Flags().StringVar(&f.user, "user", "", "`NAME` of the user")
	cmd.Flags().StringArrayVar(&f.groups, "group", nil, "`NAME` of a group that the user is in; may be given several times")
	cmd.Flags().StringVar(&f.serviceAccount, "service-account", "", "`NAMESPACE/NAME` of a service account, instead of a user")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "`NAMESPACE` that kubectl takes with it (default: the service account's, or default)")
	cmd.Flags().StringVar(&f.server, "server", "", "`URL` that the API is reached at from where the kubeconfig is used (default: as from here)")
	cmd.Flags().DurationVar(&f.expires, "expires", 24*time.Hour, "`DURATION` that the credentials are good for")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "`FILE` to write, for its owner alone (default: standard output)")
	return cmd
}

func (f *kubeconfigFlags) check(cmd *cobra.Command) error {
	switch {
	case (f.user == "") == (f.serviceAccount == ""):
		return usageError(cmd, "give either --user or --service-account")
	case f.serviceAccount != "" && len(f.groups) > 0:
		return usageError(cmd, "--group goes with --user: the groups of a service account follow from its namespace")
	case f.expires < shortestLife:
		return usageError(cmd, "--expires: must be at least %s", shortestLife)
	}
	return nil
}

func (f *kubeconfigFlags) run(cmd *cobra.Command) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	admin, err := f.target.restConfig()
	if err != nil {
		return err
	}
	k := pki.Kubeconfig{Server: admin.Host, CA: admin.CAData, Namespace: f.namespace}
	if f.server != "" {
		k.Server = f.server
	}
	if len(k.CA) == 0 && admin.CAFile != "" {
		if k.CA, err = bounded.File(admin.CAFile, bounded.Document); err != nil {
			return fmt.Errorf("reading the authority of the API: %w", err)
		}
	}
	var until time.Time
	if f.user != "" {
		until, err = f.forUser(&k)
	} else {
		until, err = f.forServiceAccount(cmd.Context(), admin, &k)
	}
	if err != nil {
		return err
	}
	raw, err := k.YAML()
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s may use it until %s\n", k.User, inspect.Moment(until))
	if f.output == "" {
		_, err = cmd.OutOrStdout().Write(raw)
		return err
	}
	return replace.File(f.output, raw, 0o600)
}

// forUser puts a client certificate into k, which ends when it says.
func (f *kubeconfigFlags) forUser(k *pki.Kubeconfig) (until time.Time, err error) {
	if f.target.local() == "" {
		return until, errors.New("--user: the certificate is signed on the machine that the system runs on: give --data-dir there, or --service-account here")
	}
	dir, err := datadir.Locate(f.target.dataDir)
	if err != nil {
		return until, err
	}
	if !dir.Begun() { // nothing is made where nothing is
		return until, fmt.Errorf("no system was started on %s; start one with `laterna up`, or name its --data-dir", dir.Path)
	}
	wall := clock.Real()
	authority, err := pki.OpenAuthority(dir.PKI(), wall)
	if err != nil {
		return until, err
	}
	until = wall.Now().Add(f.expires)
	k.CA, k.User = authority.PEM(), f.user
	if k.Namespace == "" {
		k.Namespace = metav1.NamespaceDefault
	}
	k.Certificate, k.Key, err = authority.Client(f.user, f.groups, f.expires)
	return until, err
}

// forServiceAccount puts a token into k, which ends when the API says.
func (f *kubeconfigFlags) forServiceAccount(ctx context.Context, admin *rest.Config, k *pki.Kubeconfig) (until time.Time, err error) {
	namespace, name, ok := strings.Cut(f.serviceAccount, "/")
	if !ok || namespace == "" || name == "" {
		return until, fmt.Errorf("--service-account: %q must be NAMESPACE/NAME", f.serviceAccount)
	}
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return until, err
	}
	seconds := int64(f.expires / time.Second)
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return until, fmt.Errorf("asking for a token of service account %s: %w", f.serviceAccount, explain(err))
	}
	k.User, k.Token = name, answer.Status.Token
	if k.Namespace == "" {
		k.Namespace = namespace
	}
	return answer.Status.ExpirationTimestamp.Time, nil
}
