package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/internal/ownapi"
	"laterna.dev/laterna/internal/tokens/keys"
)

// keysTimeout bounds a request: a large RSA key takes the server some seconds.
const keysTimeout = time.Minute

func newKeys() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:   "keys",
		Short: "Rotate and list the keys that sign service account tokens",
		Long: `Rotate and list the keys that sign service account tokens. The same keys are objects of
the API: kubectl get signingkeys. To withdraw a key at once, with every token that it
signed, delete its object: kubectl delete signingkey NAME.`,
	})
	cmd.AddCommand(newKeysList(), newKeysRotate())
	return cmd
}

func newKeysList() *cobra.Command {
	var target targetFlags
	var output string
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the keys with their states and dates",
		Long: `List the keys with their states and dates. All of them are published and accepted. An
Upcoming key does not sign yet, one key is Signing, and a Retired one goes when the last
token that it signed has ended.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError(cmd, "--output: %q is neither table nor json", output)
			}
			list, err := listKeys(cmd.Context(), target)
			if err != nil {
				return err
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printKeys(cmd.OutOrStdout(), list.Items)
		},
	}
	target.bind(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table or json")
	return cmd
}

func newKeysRotate() *cobra.Command {
	var target targetFlags
	var kind string
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key, which takes over signing",
		Long: `Make a new key, which takes over signing. It is published at once and signs an hour
later, when everybody who keeps a copy of the key set has it; the old key stays accepted
until the last token that it signed has ended. Running pods get tokens of the new key as
soon as it signs.

With --now the new key signs at once. Relying parties that keep a copy of the key set and
do not look again when they meet an unknown key refuse its tokens for up to an hour.`,
		Example: `  laterna keys rotate
  laterna keys rotate --type ECDSAP256
  laterna keys rotate --now && kubectl delete signingkey NAME   # a key that leaked`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validKeyType(cmd, kind); err != nil {
				return err
			}
			return rotateKeys(cmd.Context(), cmd.OutOrStdout(), target, v1alpha1.KeyType(kind), now)
		},
	}
	target.bind(cmd.Flags())
	cmd.Flags().StringVar(&kind, "type", "", "`TYPE` of the key: "+keyTypes()+" (default: that of the key that signs)")
	cmd.Flags().BoolVar(&now, "now", false, "let the new key sign at once")
	return cmd
}

func keyTypes() string {
	var all []string
	for _, t := range keys.Types() {
		all = append(all, string(t))
	}
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

func validKeyType(cmd *cobra.Command, kind string) error {
	if kind != "" && keys.Type(kind).Algorithm() == "" {
		return usageError(cmd, "--type: %q is not %s", kind, keyTypes())
	}
	return nil
}

// signingKeys returns a client for the signing keys of the system that the flags name.
func (t targetFlags) signingKeys() (rest.Interface, error) {
	config, err := t.restConfig()
	if err != nil {
		return nil, err
	}
	return ownapi.NewClient(config, v1alpha1.SchemeGroupVersion, v1alpha1.AddToScheme)
}

func listKeys(ctx context.Context, target targetFlags) (*v1alpha1.SigningKeyList, error) {
	client, err := target.signingKeys()
	if err != nil {
		return nil, err
	}
	list := &v1alpha1.SigningKeyList{}
	err = client.Get().Resource(v1alpha1.Plural).Timeout(keysTimeout).Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("listing signing keys: %w", explain(err))
	}
	return list, nil
}

func rotateKeys(ctx context.Context, out io.Writer, target targetFlags, kind v1alpha1.KeyType, now bool) error {
	client, err := target.signingKeys()
	if err != nil {
		return err
	}
	wish := &v1alpha1.SigningKey{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind},
		Spec:     v1alpha1.SigningKeySpec{Type: kind, Activation: v1alpha1.Scheduled},
	}
	if now {
		wish.Spec.Activation = v1alpha1.Immediate
	}
	made := &v1alpha1.SigningKey{}
	err = client.Post().Resource(v1alpha1.Plural).Timeout(keysTimeout).Body(wish).Do(ctx).Into(made)
	if apierrors.IsConflict(err) && !now {
		return fmt.Errorf("rotating: %w (--now overtakes it)", err)
	}
	if err != nil {
		return fmt.Errorf("rotating: %w", explain(err))
	}
	list, err := listKeys(ctx, target)
	if err != nil {
		return err
	}
	describeRotation(out, made, list.Items)
	return nil
}

// describeRotation says what a rotation did and what will happen when.
func describeRotation(out io.Writer, made *v1alpha1.SigningKey, all []v1alpha1.SigningKey) {
	before := predecessor(made, all)
	if made.Status.State == v1alpha1.Signing {
		fmt.Fprintf(out, "%s signs now\n", title(made))
		if before != nil {
			fmt.Fprintf(out, "%s does not sign any more%s\n", title(before), stays(before))
		}
		fmt.Fprintln(out, "relying parties that keep a copy of the key set may refuse new tokens for up to an hour")
		return
	}
	wait := made.Status.SignsFrom.Sub(made.Status.Published.Time)
	fmt.Fprintf(out, "%s is published now and signs from %s, in %s\n", title(made), date(made.Status.SignsFrom), wait)
	if before != nil {
		fmt.Fprintf(out, "%s signs until then%s\n", title(before), stays(before))
	}
}

// predecessor is the key that signs, or did until the one that was made took over.
func predecessor(made *v1alpha1.SigningKey, all []v1alpha1.SigningKey) *v1alpha1.SigningKey {
	for i := range all {
		k := &all[i]
		if k.Name != made.Name && (k.Status.State == v1alpha1.Signing || k.Status.Retired.Equal(made.Status.SignsFrom)) {
			return k
		}
	}
	return nil
}

func title(k *v1alpha1.SigningKey) string { return fmt.Sprintf("key %s (%s)", k.Name, k.Spec.Type) }

// stays says how long a key that does not sign is accepted.
func stays(k *v1alpha1.SigningKey) string {
	switch {
	case k.Status.Expires == nil:
		return "; it has signed no token"
	case k.Status.Expires.Time.Equal(keys.Never):
		return "; tokens of it have no end, so it is accepted until it is deleted"
	}
	return "; its tokens end by " + date(k.Status.Expires) + ", until then it is accepted"
}

func printKeys(out io.Writer, all []v1alpha1.SigningKey) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tTYPE\tSTATE\tPUBLISHED\tSIGNS FROM\tRETIRED\tTOKENS END BY\tKEY ID")
	for i := range all {
		k, s := &all[i], &all[i].Status
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			k.Name, k.Spec.Type, s.State, date(s.Published), date(s.SignsFrom), date(s.Retired), date(s.Expires), s.KeyID)
	}
	return w.Flush()
}

// date prints a time of the system's clock.
func date(t *metav1.Time) string {
	switch {
	case t == nil:
		return "-"
	case t.Time.Equal(keys.Never):
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
