package awscmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"k8s.io/client-go/rest"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/setup"
)

// printJSON prints what there is, with the secret of a key that was just made.
func printJSON(out io.Writer, r *setup.Result) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		*setup.Result
		SecretAccessKey string `json:"secretAccessKey,omitempty"`
	}{r, r.Secret.Reveal()})
}

// print says what was done and what to do next.
func (f *initFlags) print(out io.Writer, r *setup.Result) error {
	row := func(what string, i *setup.Item) {
		if i != nil {
			fmt.Fprintf(out, "%-16s %-10s %s\n", what, i.Outcome, i.Name)
		}
	}
	row("provider", &r.Provider)
	row("role", r.Role)
	row("role policy", r.Policy)
	row("service account", r.ServiceAccount)
	row("access key", &r.Key)
	secret := "kube-system/" + iamv1alpha1.AccessKeySecret(r.Key.Name)
	if r.Key.Outcome == setup.Created {
		fmt.Fprintf(out, `
The key of the account's administrator, shown this once; it is kept in Secret
%s:

  export AWS_ACCESS_KEY_ID=%s
  export AWS_SECRET_ACCESS_KEY=%s
`, secret, r.Key.Name, r.Secret.Reveal())
	} else {
		fmt.Fprintf(out, "\nThe key of the account's administrator was shown when it was made; it is kept in Secret\n%s.\n", secret)
	}
	return f.printNext(out, r)
}

func (f *initFlags) printNext(out io.Writer, r *setup.Result) error {
	config, err := f.target.REST()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nWith it, this shows the account's roles:\n\n")
	fmt.Fprintf(out, "  export AWS_DEFAULT_REGION=us-east-1 AWS_CA_BUNDLE=%s\n", f.authority(config))
	fmt.Fprintf(out, "  aws iam list-roles --endpoint-url %s/aws/\n", strings.TrimSuffix(config.Host, "/"))
	if r.Role != nil && r.ServiceAccount == nil {
		fmt.Fprintf(out, "\nNew pods of %s get credentials of the role after:\n\n", f.serviceAccount)
		namespace, name, _ := strings.Cut(f.serviceAccount, "/")
		fmt.Fprintf(out, "  kubectl -n %s annotate serviceaccount %s %s=%s\n", namespace, name, setup.RoleAnnotation, r.Role.Name)
	}
	return nil
}

// authority is the file with the certificate of the system's authority.
func (f *initFlags) authority(config *rest.Config) string {
	for _, file := range []string{config.CAFile, f.target.Authority()} {
		if file != "" {
			return file
		}
	}
	return "CA.CRT   # certificate-authority-data of the kubeconfig, decoded"
}
