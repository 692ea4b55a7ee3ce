package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/cli/tokenreport"
	"laterna.dev/laterna/internal/inspect"
)

func newToken() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:   "token",
		Short: "Look at service account tokens",
	})
	alone := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && isToken(args[0]) {
			return errTokenArgument
		}
		return alone(cmd, args)
	}
	cmd.AddCommand(newTokenInspect())
	return cmd
}

// errTokenArgument is for who gives the token itself, which must not be repeated.
var errTokenArgument = errors.New("this is a token, not a FILE: arguments can be seen by other users; give it on standard input")

// isToken tells whether an argument is a token: its header begins with a brace and a quote.
func isToken(arg string) bool { return strings.HasPrefix(arg, "ey") && boundtoken.LooksLike(arg) }

// codeNothing is the exit code when a token was not inspected at all.
const codeNothing = 2

// inspectFlags are the flags of `token inspect`.
type inspectFlags struct {
	target            targetFlags
	source            tokenSource
	audiences         []string
	from              elsewhereFlags
	offline           bool
	at                string
	strict, signature bool
	output            string
}

func newTokenInspect() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect [FILE|-]",
		Short: "Show what a token says, how long it lives, and whether it is good and why not",
		Long: `Show what a service account token says, how much of its life is over and when the agent
replaces it, and whether it is good: each check with its reason. The token is read from a
file (that of a projected volume, too), from standard input, or from the volume of a pod
that runs on this machine.

Checks: form, issuer, signature, discovery, audience, time, and liveness (whether the
account, and the pod, secret or node that the token is bound to, still exist). The system
is asked where there is one. --discover asks the token's issuer instead, as any relying
party does: over TLS, for its two public documents alone, at the host that the token
names, or the host that its discovery document names for the keys. The token itself is
sent nowhere but to the system, after its signature was found to be of the system's keys.

The signature is not printed: without it nobody can use what this command shows. What a
token says is escaped where it is not plain ASCII.

The exit code is 0 when no check failed, 1 when one did (or, with --strict, could not be
made), and 2 when no token was looked at.`,
		Example: `  laterna token inspect /var/run/secrets/kubernetes.io/serviceaccount/token
  kubectl create token build-robot --audience vault | laterna token inspect --audience vault
  laterna token inspect --pod default/nginx:vault-token/vault-token
  laterna token inspect token.jwt --discover          # a token of another system`,
		Args: func(cmd *cobra.Command, args []string) error { return nothingRead(f.checkArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.bind(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return nothingRead(flagError(cmd, err)) })
	return cmd
}

func (f *inspectFlags) bind(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.target.bind(fs)
	fs.StringVar(&f.source.pod, "pod", "", "read the token of a `POD` on this machine, as NAMESPACE/NAME or NAMESPACE/NAME:VOLUME/PATH")
	fs.StringArrayVar(&f.audiences, "audience", nil, "`AUDIENCE` that the recipient accepts; repeatable: the token must have one of them")
	f.from.bind(fs, "fetch the public documents of the token's issuer, wherever that is, and verify with its keys")
	fs.BoolVar(&f.offline, "offline", false, "ask no host, and no system on this machine either")
	fs.StringVar(&f.at, "at", "", "`TIME` of the check as 2006-01-02T15:04:05Z, instead of now")
	fs.BoolVar(&f.strict, "strict", false, "treat a check that cannot be made as failed")
	fs.BoolVar(&f.signature, "show-signature", false, "print the signature too: who has it can use the token")
	fs.StringVarP(&f.output, "output", "o", "text", "`FORMAT`: text or json")
}

// nothingRead gives an error the exit code of a token that was not inspected.
func nothingRead(err error) error {
	if err == nil {
		return nil
	}
	return exitError{err, codeNothing}
}

func (f *inspectFlags) checkArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return usageError(cmd, "`%s` takes one FILE, but got %d arguments", cmd.CommandPath(), len(args))
	case len(args) == 1 && f.source.pod != "":
		return usageError(cmd, "give a FILE or --pod, not both")
	case f.output != "text" && f.output != "json":
		return usageError(cmd, "--output: %q is neither text nor json", f.output)
	case f.offline && (f.from.discover || f.from.ca != "" || f.source.pod != ""):
		return usageError(cmd, "--offline asks no system and no host: leave out --discover, --issuer-ca and --pod")
	}
	return nil
}

func (f *inspectFlags) run(cmd *cobra.Command, args []string) error {
	config, err := f.config(cmd)
	if err != nil {
		return nothingRead(err)
	}
	text, err := f.source.read(cmd, f.target, args)
	if err != nil {
		return nothingRead(err)
	}
	token := inspect.Read(text)
	report := inspect.Inspect(cmd.Context(), token, config)
	if f.signature && token.Readable() {
		report.Signature = token.Signature()
	}
	out := cmd.OutOrStdout()
	if f.output == "json" {
		err = printASCII(out, report)
	} else {
		tokenreport.Print(out, paint.For(out), token, report, f.source.pod != "")
	}
	if err != nil {
		return err
	}
	return f.verdict(report)
}

// verdict is the error that the command ends with.
func (f *inspectFlags) verdict(r inspect.Report) error {
	if failed := r.With(inspect.Failed); len(failed) > 0 {
		return fmt.Errorf("the token is not good: failed %s", strings.Join(failed, ", "))
	}
	if missing := r.With(inspect.NotMade); f.strict && len(missing) > 0 {
		return fmt.Errorf("the token may not be good (--strict): not checked %s", strings.Join(missing, ", "))
	}
	return nil
}

// config finds what the token can be checked with.
func (f *inspectFlags) config(cmd *cobra.Command) (c inspect.Config, err error) {
	c = inspect.Config{Now: time.Now(), Audiences: f.audiences}
	if f.at != "" {
		if c.At, err = time.Parse(time.RFC3339, f.at); err != nil {
			return c, usageError(cmd, "--at: %q is not a time; write it as 2006-01-02T15:04:05Z", f.at)
		}
	}
	if c.Elsewhere, err = f.from.client(); err != nil {
		return c, err
	}
	if c.Offline = f.offline; c.Offline {
		return c, nil
	}
	system, err := f.target.system()
	switch {
	case err == nil:
		c.System = system
	case f.target.given():
		return c, err
	case errors.Is(err, os.ErrPermission):
		c.NoSystem = "the system on this machine is another user's"
	default:
		c.NoSystem = "no system found on this machine (--data-dir, --kubeconfig)"
	}
	return c, nil
}

// system returns the system that the flags name, without asking it anything.
func (t targetFlags) system() (*inspect.System, error) {
	config, err := t.restConfig()
	if err != nil {
		return nil, err
	}
	return inspect.NewSystem(config)
}

// given tells whether a system is named, so that it must be there.
func (t targetFlags) given() bool { return t.kubeconfig != "" || t.flags.Changed("data-dir") }
