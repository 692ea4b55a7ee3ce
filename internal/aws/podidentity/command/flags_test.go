package command

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/clock"
)

func parsed(t *testing.T, args ...string) (*Flags, error) {
	t.Helper()
	f, fs := New(clock.Real()), pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Bind(fs, func(fs *pflag.FlagSet, _ string, define func(*pflag.FlagSet)) { define(fs) })
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f, f.Check()
}

// TestFlagsOfTheOriginalExist has those of its manifests, and every other.
func TestFlagsOfTheOriginalExist(t *testing.T) {
	f, err := parsed(t, "--in-cluster=false", "--namespace=default", "--service-name=pod-identity-webhook", "--annotation-prefix=eks.amazonaws.com",
		"--token-audience=sts.amazonaws.com", "--logtostderr")
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{
		"port", "metrics-port", "tls-key", "tls-cert", "tls-cipher-suites", "tls-min-version", "in-cluster", "service-name", "namespace", "tls-secret",
		"kubeconfig", "kube-api", "annotation-prefix", "token-audience", "token-mount-path", "token-expiration", "aws-default-region",
		"sts-regional-endpoint", "watch-config-map", "compose-role-arn", "resync-period", "watch-container-credentials-config",
		"container-credentials-audience", "container-credentials-token-mount-path", "container-credentials-token-volume-name",
		"container-credentials-token-path", "container-credentials-full-uri", "version", "enable-debugging-handlers", "service-account-lookup-grace-period",
	} {
		if f.flags.Lookup(name) == nil {
			t.Errorf("no flag --%s", name)
		}
	}
}

func TestFlagsThatDoNotFitAreRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"--in-cluster: no cluster signs the certificate any more": {"--in-cluster"},
		"--compose-role-arn and --aws-account go together":        {"--compose-role-arn"},
		`--aws-account: "1" is not the number of an account`:      {"--compose-role-arn", "--aws-account=1"},
		`token mount path "x" is not absolute`:                    {"--token-mount-path=x"},
		"the annotation prefix is empty":                          {"--annotation-prefix="},
		`"Mars" is not the name of a region`:                      {"--aws-default-region=Mars"},
		"--print-manifests needs the --image":                     {"--print-manifests"},
		"--url needs --ca-file":                                   {"--print-manifests", "--url=https://x"},
	} {
		if _, err := parsed(t, args...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestFlagsMakeSettings(t *testing.T) {
	f, err := parsed(t, "--token-expiration=1", "--compose-role-arn", "--aws-account=111122223333", "--aws-default-region=cn-north-1")
	if err != nil {
		t.Fatal(err)
	}
	e := f.settings.OfAccount(map[string]string{"eks.amazonaws.com/role-arn": "reader"})
	i := f.settings.Decide(&corev1.Pod{}, "n", podidentity.Sources{Account: &e})
	if i == nil || i.RoleARN != "arn:aws-cn:iam::111122223333:role/reader" || i.Expiration != 600 {
		t.Errorf("decided %+v", i)
	}
}

// TestManifestsHandFlagsOn checks that the server in the cluster is told what was given here.
func TestManifestsHandFlagsOn(t *testing.T) {
	f, err := parsed(t, "--print-manifests", "--image=example.com/laterna:1", "--tls-cipher-suites=A,B", "--watch-config-map", "--token-expiration=3600", "--kubeconfig=x", "-v2")
	if err != nil {
		t.Fatal(err)
	}
	got := f.handedOn()
	slices.Sort(got)
	if want := []string{"--tls-cipher-suites=A,B", "--token-expiration=3600", "--v=2", "--watch-config-map=true"}; !slices.Equal(got, want) {
		t.Errorf("handed on %q, want %q", got, want)
	}
	var out bytes.Buffer
	if err := f.Run(t.Context(), &out, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- --token-expiration=3600\n", "kind: RoleBinding\n", "image: example.com/laterna:1\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the manifests lack %q", want)
		}
	}
}
