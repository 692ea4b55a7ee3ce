package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// issuerTimeout bounds a request for the progress of a change.
const issuerTimeout = 10 * time.Second

func newIssuer() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:   "issuer",
		Short: "Show the issuers of tokens, and export their public documents",
		Long: `Show the issuers of tokens, and export their public documents. The issuer of new tokens
is changed with kubectl, while everything runs:

  kubectl patch authentication cluster --type merge \
    -p '{"spec":{"serviceAccountIssuer":"https://tokens.example.com"}}'`,
	})
	cmd.AddCommand(newIssuerShow(), newIssuerExport())
	return cmd
}

func newIssuerShow() *cobra.Command {
	var target targetFlags
	var from elsewhereFlags
	var output string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show which issuers are accepted until when, whether they can be discovered, and how far a change has come",
		Long: `Show which issuer new tokens carry, which others are accepted until when, whether each can
be discovered, which audiences the API answers to, and how far a change of issuer or key
has come on the nodes.

An issuer counts as discoverable when this system answers under its name, as it would
to a client that was directed here. With --discover the issuer's host is asked instead,
as relying parties do.

The exit code is 1 when an issuer is asked for that is not active, with the reason, and
when --discover finds the documents of no issuer.`,
		Example: `  laterna issuer show
  laterna issuer show --discover     # does the world see it?`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usageError(cmd, "--output: %q is neither text nor json", output)
			}
			elsewhere, err := from.client()
			if err != nil {
				return err
			}
			shown, err := readIssuers(cmd.Context(), target, elsewhere)
			if err != nil {
				return err
			}
			if output == "json" {
				err = printASCII(cmd.OutOrStdout(), shown)
			} else {
				err = shown.print(cmd.OutOrStdout(), paint.For(cmd.OutOrStdout()))
			}
			return errors.Join(err, shown.verdict(elsewhere != nil))
		},
	}
	target.bind(cmd.Flags())
	from.bind(cmd.Flags(), "ask the hosts of the issuers for the documents instead of this system")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT`: text or json")
	return cmd
}

// shownIssuers is what `issuer show` prints.
type shownIssuers struct {
	// Time is the system's; nil where it does not tell.
	Time         *time.Time    `json:"time,omitempty"`
	Issuers      []shownIssuer `json:"issuers"`
	APIAudiences []string      `json:"apiAudiences,omitempty"`
	// Partial is true for a system that tells its active issuer only.
	Partial  bool           `json:"partial,omitempty"`
	Revision int32          `json:"revision,omitempty"`
	Progress *shownProgress `json:"progress,omitempty"`
	// Wanted is what is asked for, where that is not what issues tokens.
	Wanted *shownWanted `json:"wanted,omitempty"`
}

// shownWanted is an issuer that is asked for and not active.
type shownWanted struct {
	Issuer string `json:"issuer"`
	Reason string `json:"reason"`
}

type shownIssuer struct {
	issuer.Listed
	Discoverable bool `json:"discoverable"`
	// Problem is why it is not.
	Problem string `json:"problem,omitempty"`
	// Discovery is the address of the discovery document, KeySet that of the keys.
	Discovery string `json:"discovery,omitempty"`
	KeySet    string `json:"keySet,omitempty"`
}

type shownProgress struct {
	// Done is true when every node that counts is at the revision.
	Done    bool   `json:"done"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message"`
}

// readIssuers asks the system for its issuers, and for the documents of each from
// elsewhere or, when that is nil, from the system, too.
func readIssuers(ctx context.Context, target targetFlags, elsewhere inspect.Discoverer) (s shownIssuers, err error) {
	system, err := target.system()
	if err != nil {
		return s, err
	}
	listing, err := system.Listing(ctx)
	if err != nil {
		return s, explain(err)
	}
	if elsewhere == nil {
		elsewhere = system
	}
	s.APIAudiences, s.Partial = listing.APIAudiences, listing.Partial
	if !listing.Partial {
		s.Time = &listing.Time
	}
	for _, one := range listing.Issuers {
		s.Issuers = append(s.Issuers, discoverOne(ctx, elsewhere, one))
	}
	return s, s.readProgress(ctx, target)
}

func discoverOne(ctx context.Context, from inspect.Discoverer, one issuer.Listed) shownIssuer {
	shown := shownIssuer{Listed: one}
	if one.State == issuer.Ended {
		shown.Problem = "not accepted any more"
		return shown
	}
	if name, err := boundtoken.ParseIssuer(one.Issuer); err == nil && name.Discoverable() == nil {
		shown.Discovery = name.DiscoveryURL()
	}
	documents, err := inspect.Discover(ctx, from, one.Issuer)
	if err != nil {
		shown.Problem = err.Error()
		return shown
	}
	shown.Discoverable, shown.KeySet = true, documents.KeySetURI
	return shown
}

// readProgress reads what is asked for and how far a change has come; a stock
// kube-apiserver does not know.
func (s *shownIssuers) readProgress(ctx context.Context, target targetFlags) error {
	client, err := target.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, issuerTimeout)
	defer cancel()
	read := func(of schema.GroupVersionResource, name string, into any) (known bool, err error) {
		path := "/apis/" + of.GroupVersion().String() + "/" + of.Resource + "/" + name
		raw, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return false, nil
		}
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			return false, fmt.Errorf("reading the progress of changes: %w", explain(err))
		}
		return true, nil
	}
	// What is asked for is read first: what came of it is then not older.
	var asked configv1.Authentication
	if _, err := read(configv1.Authentications, configv1.Name, &asked); err != nil {
		return err
	}
	var server operatorv1.KubeAPIServer
	if known, err := read(operatorv1.KubeAPIServers, operatorv1.Name, &server); err != nil || !known {
		return err
	}
	s.Revision = server.Status.LatestAvailableRevision
	reason := "the servers have not taken it over yet"
	for _, c := range server.Status.Conditions {
		switch {
		case c.Type == operatorv1.NodeInstallerProgressing:
			s.Progress = &shownProgress{Done: c.Status == "False", Reason: c.Reason, Message: c.Message}
		case c.Type == operatorv1.ServiceAccountIssuerDegraded && c.Status == "True":
			reason = c.Message
		}
	}
	if want := asked.Spec.ServiceAccountIssuer; want != "" && want != server.Status.ActiveIssuer() {
		s.Wanted = &shownWanted{Issuer: want, Reason: reason}
	}
	return nil
}

// verdict is why the exit code is not 0: what is asked for is not active, or nobody can
// discover anything.
func (s *shownIssuers) verdict(discovered bool) error {
	if s.Wanted != nil {
		return fmt.Errorf("issuer %q is asked for and not active: %s", s.Wanted.Issuer, plain.Text(s.Wanted.Reason))
	}
	accepted := 0
	for _, one := range s.Issuers {
		if one.Discoverable {
			return nil
		}
		if one.State != issuer.Ended {
			accepted++
		}
	}
	if discovered && accepted > 0 {
		return errors.New("no issuer of this system could be discovered at its own host")
	}
	return nil
}

func (s *shownIssuers) print(out io.Writer, p paint.Paint) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "ISSUER\tSTATE\tUNTIL\tDISCOVERY")
	for _, one := range s.Issuers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", plain.Text(one.Issuer), plain.Text(string(one.State)), s.until(one), whereFound(p, one))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	row := func(name, text string) { fmt.Fprintf(out, "%-14s %s\n", name, text) }
	if s.Partial {
		row("Note", "this system does not tell what else it accepts, or you may not ask")
	}
	if s.Wanted != nil {
		row("Wanted", fmt.Sprintf("%s %s, which is not active: %s", p.Bad("✗"), plain.Text(s.Wanted.Issuer), plain.Text(s.Wanted.Reason)))
	}
	if len(s.APIAudiences) > 0 {
		row("API audiences", plain.List(s.APIAudiences))
	}
	if s.Progress != nil {
		state := "rolling out"
		if s.Progress.Done {
			state = plain.Text(s.Progress.Reason)
		}
		row("Revision", fmt.Sprintf("%d, %s: %s", s.Revision, state, plain.Text(s.Progress.Message)))
	}
	return nil
}

func (s *shownIssuers) until(one shownIssuer) string {
	if one.Until == nil {
		return "-"
	}
	text := inspect.Moment(*one.Until)
	if s.Time != nil {
		text += ", " + inspect.Relative(*one.Until, *s.Time)
	}
	return text
}

func whereFound(p paint.Paint, one shownIssuer) string {
	if !one.Discoverable {
		return p.Bad("✗") + " " + one.Problem
	}
	text := p.Good("✓") + " " + plain.Text(one.Discovery)
	if one.KeySet != issuer.KeySetURI(one.Issuer) {
		text += " (keys: " + plain.Text(one.KeySet) + ")"
	}
	return text
}
