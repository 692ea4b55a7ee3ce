package awscmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/setup"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/ownapi"
)

// initTimeout bounds all that is asked the system.
const initTimeout = time.Minute

// initFlags are what an account is prepared with.
type initFlags struct {
	Shell
	target         Target
	account        string
	audience       string
	serviceAccount string
	role           string
	policyFile     string
	annotate       bool
	replace        bool
	output         string
}

func newInit(shell Shell) *cobra.Command {
	f := initFlags{Shell: shell}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Register the system's issuer, make a role for a service account, and a key for the account",
		Long: `Register the system's issuer as an OpenID Connect provider of an account, make the key
with which the account is administrated and, with --service-account, a role that the pods
of that service account may assume. What is there already is left as it is, so the command
can be run again.

The key is shown once, when it is made. It is kept in a Secret in kube-system, which is
encrypted in the store; to withdraw the key, delete the Secret.`,
		Example: `  laterna aws init
  laterna aws init --service-account default/app --role app --policy-file policy.json --annotate
  laterna aws init --account 111122223333`,
		Args: shell.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f.target = shell.Target(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&f.account, "account", "000000000000", "`ACCOUNT` of twelve digits")
	fs.StringVar(&f.audience, "audience", "sts.amazonaws.com", "`AUDIENCE` of the tokens that are accepted")
	fs.StringVar(&f.serviceAccount, "service-account", "", "`NAMESPACE/NAME` of the service account that a role is made for")
	fs.StringVar(&f.role, "role", "", "`NAME` of the role (default: that of the service account behind its namespace, as in default-app)")
	fs.StringVar(&f.policyFile, "policy-file", "", "`FILE` with the policy that says what the role may do, as JSON; -: standard input")
	fs.BoolVar(&f.annotate, "annotate", false, "write the role into the service account ("+setup.RoleAnnotation+"), so that its new pods get the role's credentials")
	fs.BoolVar(&f.replace, "replace", false, "replace the trust policy of a role that trusts others")
	fs.StringVarP(&f.output, "output", "o", "text", "`FORMAT`: text or json")
	return cmd
}

// check says what is wrong with the flags, and fills in the role's name.
func (f *initFlags) check(cmd *cobra.Command) error {
	switch {
	case f.output != "text" && f.output != "json":
		return f.Usage(cmd, "--output: %q is neither text nor json", f.output)
	case !arn.ValidAccount(f.account):
		return f.Usage(cmd, "--account: %q is not twelve digits", f.account)
	case f.audience == "":
		return f.Usage(cmd, "--audience: is empty")
	case f.serviceAccount == "" && (f.role != "" || f.policyFile != "" || f.annotate || f.replace):
		return f.Usage(cmd, "--role, --policy-file, --annotate and --replace are about a role: name who may assume it with --service-account")
	case f.serviceAccount == "":
		return nil
	}
	namespace, name, ok := strings.Cut(f.serviceAccount, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return f.Usage(cmd, "--service-account: %q is not NAMESPACE/NAME", f.serviceAccount)
	}
	if f.role == "" {
		f.role = namespace + "-" + name
	}
	return nil
}

func (f *initFlags) run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	c, err := f.config(ctx, in)
	if err != nil {
		return err
	}
	result, err := setup.Run(ctx, c)
	if errors.Is(err, setup.ErrTrustsOthers) {
		return fmt.Errorf("%w; --replace replaces it, --role makes another role", err)
	}
	if err != nil {
		return f.Explain(err)
	}
	if f.output == "json" {
		return printJSON(out, result)
	}
	return f.print(out, result)
}

// config collects what an account is prepared with.
func (f *initFlags) config(ctx context.Context, in io.Reader) (setup.Config, error) {
	c := setup.Config{Account: f.account, Audience: f.audience}
	config, err := f.target.REST()
	if err != nil {
		return c, err
	}
	if c.Kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		return c, err
	}
	if c.IAM, err = ownapi.NewClient(config, iamv1alpha1.SchemeGroupVersion, iamv1alpha1.AddToScheme); err != nil {
		return c, err
	}
	if c.Issuer, err = f.issuer(ctx); err != nil || f.serviceAccount == "" {
		return c, err
	}
	namespace, name, _ := strings.Cut(f.serviceAccount, "/")
	c.Role = &setup.Role{Name: f.role, Namespace: namespace, ServiceAccount: name, Replace: f.replace, Annotate: f.annotate}
	c.Role.Policy, err = f.policy(in)
	return c, err
}

// issuer asks the system who issues new tokens.
func (f *initFlags) issuer(ctx context.Context) (string, error) {
	system, err := f.target.System()
	if err != nil {
		return "", err
	}
	listing, err := system.Listing(ctx)
	if err != nil {
		return "", f.Explain(err)
	}
	return listing.Issuers[0].Issuer, nil
}

// maxPolicyFile is how much of a file is read, in bytes: more than any policy may have.
const maxPolicyFile = 1 << 20

func (f *initFlags) policy(in io.Reader) (string, error) {
	switch f.policyFile {
	case "":
		return "", nil
	case "-":
		raw, err := bounded.All(in, maxPolicyFile)
		return string(raw), err
	}
	raw, err := bounded.Input(f.policyFile, maxPolicyFile)
	if err != nil {
		return "", fmt.Errorf("reading the policy: %w", err)
	}
	return string(raw), nil
}
