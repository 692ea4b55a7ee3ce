package awscmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/cli/awscmd/report"
	"laterna.dev/laterna/internal/cli/paint"
)

// explainTimeout bounds the question: an issuer may take its time, twice.
const explainTimeout = 30 * time.Second

type explainFlags struct {
	Shell
	target  Target
	token   string
	role    string
	session string
	output  string
}

func newExplain(shell Shell) *cobra.Command {
	f := explainFlags{Shell: shell}
	cmd := &cobra.Command{
		Use:   "explain [REQUEST-ID]",
		Short: "Say why a call to STS or IAM was denied, or whether a token may become a role",
		Long: `Say why a call to STS or IAM was denied: the checks in their order, which of them said no,
what the token has beside what the policy asks for, and what to change. AWS tells none of
it, and so neither does the answer on the wire.

The id of a request stands in each answer (RequestId, x-amzn-RequestId); the last 1000
calls since the server's start are kept. Without an id, they are listed. With --token and
--role it is tried what the token would be answered, without beginning a session.`,
		Example: `  laterna aws explain
  laterna aws explain 33d9b2ae-dc56-4898-8115-b011c77ed5f1
  kubectl create token app --audience sts.amazonaws.com | laterna aws explain --token - --role arn:aws:iam::000000000000:role/default-app`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args); err != nil {
				return err
			}
			return f.run(cmd, args)
		},
	}
	f.target = shell.Target(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&f.token, "token", "", "`FILE` with a token; -: standard input")
	fs.StringVar(&f.role, "role", "", "`ARN` of the role that the token is to become")
	fs.StringVar(&f.session, "session-name", "", "`NAME` of the session, where the trust policy asks for it")
	fs.StringVarP(&f.output, "output", "o", "text", "`FORMAT`: text or json")
	return cmd
}

func (f *explainFlags) check(cmd *cobra.Command, args []string) error {
	switch {
	case f.output != "text" && f.output != "json":
		return f.Usage(cmd, "--output: %q is neither text nor json", f.output)
	case (f.token == "") != (f.role == ""):
		return f.Usage(cmd, "--token and --role go together")
	case f.token != "" && len(args) > 0:
		return f.Usage(cmd, "give the id of a request, or --token and --role")
	case f.token == "" && f.session != "":
		return f.Usage(cmd, "--session-name goes with --token and --role")
	}
	return nil
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), explainTimeout)
	defer cancel()
	config, err := f.target.REST()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	raw, err := f.ask(ctx, client.Discovery().RESTClient(), cmd.InOrStdin(), args)
	if err != nil {
		return f.Explain(err)
	}
	return f.print(cmd.OutOrStdout(), raw, len(args) == 0 && f.token == "")
}

// ask returns what the server has to say, as JSON.
func (f *explainFlags) ask(ctx context.Context, client rest.Interface, in io.Reader, args []string) ([]byte, error) {
	switch {
	case f.token != "":
		token, err := f.readToken(in)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(explain.Question{Role: f.role, Token: token, Session: f.session})
		if err != nil {
			return nil, err
		}
		return client.Post().AbsPath(explain.Path).SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
	case len(args) == 0:
		return client.Get().AbsPath(explain.Path).DoRaw(ctx)
	}
	raw, err := client.Get().AbsPath(explain.Path, args[0]).DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the server keeps no call %s: it keeps the last %d, and none from before its start", args[0], explain.MaxRecords)
	}
	return raw, err
}

func (f *explainFlags) readToken(in io.Reader) (string, error) {
	var raw []byte
	var err error
	if f.token == "-" {
		raw, err = bounded.All(in, bounded.Small)
	} else {
		raw, err = bounded.Input(f.token, bounded.Small)
	}
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

func (f *explainFlags) print(out io.Writer, raw []byte, list bool) error {
	if f.output == "json" {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, raw, "", "  "); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		fmt.Fprintln(out, strings.TrimSpace(pretty.String()))
		return nil
	}
	if list {
		var all explain.Records
		if err := json.Unmarshal(raw, &all); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		return report.List(out, all)
	}
	var r explain.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return report.Print(out, paint.For(out), &r)
}
