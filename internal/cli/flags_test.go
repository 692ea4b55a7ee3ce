package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/config"
)

// The flags that the contract of the program names, and those that reach an etcd
// cluster with TLS, and the kubelet's that say how images are pulled and kept.
var (
	allowed = []string{
		"data-dir", "disk-reserve", "listen", "enable-swagger-ui", "config", "test-clock", "v", "help",
		"service-account-issuer", "api-audiences", "service-account-max-token-expiration", "service-account-jwks-uri", "service-account-issuer-overlap",
		"service-account-extend-token-expiration", "signing-algorithm", "public-discovery",
		"cluster-cidr", "service-cluster-ip-range", "cluster-domain",
		"etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile",
		"encryption-provider-config", "encryption-provider-config-automatic-reload",
		"legacy-service-account-tokens", "legacy-service-account-token-clean-up-period",
		"pod-security-enforce", "pod-security-audit", "pod-security-warn",
		"pod-security-exempt-usernames", "pod-security-exempt-namespaces", "pod-security-exempt-runtime-classes",
		"aws-default-region", "aws-sts-regional-endpoints", "aws-account", "pod-identity-config-map", "container-credentials-file", "aws-local-sts",
		"audit-policy-file", "audit-log-path", "audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize",
	}
	allowedWithNode = append([]string{
		"node", "node-name", "node-ip", "cri-endpoint",
		"pod-max-pids", "eviction-hard", "eviction-pressure-transition-period", "max-parallel-image-pulls", "image-gc-high-threshold", "image-gc-low-threshold",
		"image-pull-credentials-verification-policy", "image-credential-provider-config", "image-credential-provider-bin-dir", "preloaded-images-verification-allowlist",
	}, allowed...)
)

func TestOnlyAllowedFlagsExist(t *testing.T) {
	for name, want := range map[string][]string{"up": allowedWithNode, "server": allowed} {
		cmd := newUp(apiserver.Version{})
		if name == "server" {
			cmd = newServer(apiserver.Version{})
		}
		cmd.InitDefaultHelpFlag()
		var got []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { got = append(got, f.Name) })
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("flags of %s:\ngot  %v\nwant %v", name, got, want)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s has the summary %q, want one line without a full stop", cmd.CommandPath(), cmd.Short)
		}
		if cmd.HasSubCommands() && cmd.RunE == nil {
			t.Errorf("%s takes a command that it does not have for an argument", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name, usage := pflag.UnquoteUsage(f)
			if usage == "" || strings.Contains(usage, "`") || strings.Contains(name, " ") {
				t.Errorf("%s --%s %q: %q", cmd.CommandPath(), f.Name, name, usage)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(Streams{In: strings.NewReader(""), Out: new(bytes.Buffer), Err: new(bytes.Buffer)}, apiserver.Version{}))
}

// complete parses a command line and a file as `up` does.
func complete(t *testing.T, file string, args ...string) (config.Config, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		header := "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n"
		if err := os.WriteFile(path, []byte(header+file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config", path}, args...)
	}
	var c configFlags
	fs := pflag.NewFlagSet("up", pflag.ContinueOnError)
	c.bind(fs, true)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c.complete()
}

func TestFlagWinsOverFileWinsOverDefault(t *testing.T) {
	const file = `
dataDir: /from/file
testClock: true
serving: {publicDiscovery: false}
tokens:
  serviceAccountIssuers: [https://file.example]
  apiAudiences: [a, b]
  serviceAccountMaxTokenExpiration: 48h
network: {clusterDomain: file.example}
node: {enabled: false, name: file}
`
	c, err := complete(t, file, "--data-dir", "/from/flag", "--api-audiences", "c,d", "--service-account-issuer", "https://one.example",
		"--service-account-issuer", "https://two.example", "--node=true", "--service-account-max-token-expiration=2h", "--test-clock=false")
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/from/flag" || c.TestClock || !c.Node.Enabled || c.Tokens.MaxExpiration.Duration.Hours() != 2 {
		t.Errorf("a flag did not win over the file: %+v", c)
	}
	if got := c.Tokens.APIAudiences; !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("audiences %v, want those of the flag alone", got)
	}
	if got := c.Tokens.Issuers; !slices.Equal(got, []string{"https://one.example", "https://two.example"}) {
		t.Errorf("issuers %v, want those of the flags alone", got)
	}
	if c.Serving.PublicDiscovery || c.Network.ClusterDomain != "file.example" || c.Node.Name != "file" {
		t.Errorf("the file did not win over the defaults: %+v", c)
	}
	if c.Serving.Listen != config.Default().Serving.Listen || c.Tokens.SigningAlgorithm != "RS256" || !c.Tokens.ExtendExpiration {
		t.Errorf("a default is lost: %+v", c)
	}
}

func TestValuesOfFileAndFlagsAreChecked(t *testing.T) {
	if _, err := complete(t, "serving: {listen: here}"); err == nil || !strings.Contains(err.Error(), `--listen: "here"`) {
		t.Errorf("a bad value in the file: %v", err)
	}
	if _, err := complete(t, "serving: {listen: here}", "--listen", "127.0.0.1:1"); err != nil {
		t.Errorf("a flag did not replace a bad value: %v", err)
	}
	if _, err := complete(t, "", "--listen", "here"); err == nil {
		t.Error("a bad flag was taken")
	}
}

func TestServerRunsNoNodeWhateverTheFileSays(t *testing.T) {
	cmd := newServer(apiserver.Version{})
	path := filepath.Join(t.TempDir(), "config.yaml")
	content := "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\nnode: {enabled: true}\n" +
		"dataDir: " + filepath.Join(path, "not-a-directory") + "\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.SetArgs([]string{"--config", path})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetErr(new(bytes.Buffer))
	// A node would be refused, or looked for, before the directory is made.
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "making data directory") {
		t.Errorf("got %v", err)
	}
}
