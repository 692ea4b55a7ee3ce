package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/proxy"
)

// flags are parsed from a command line.
func flags(t *testing.T, args ...string) *proxy.Flags {
	t.Helper()
	f := &proxy.Flags{}
	fs := pflag.NewFlagSet("proxy", pflag.ContinueOnError)
	f.Bind(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

// run serves an API as flags say and returns where, and what was warned of.
func run(t *testing.T, api *rest.Config, args ...string) (at, warned string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, said := io.Pipe()
	var warnings strings.Builder
	ended := make(chan error, 1)
	f := flags(t, args...)
	go func() { ended <- f.Run(ctx, api, said, &warnings) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if _, err := fmt.Fscanf(out, "Starting to serve on %s\n", &at); err != nil {
		t.Fatal(err)
	}
	return at, warnings.String()
}

func TestAddressesOfOthersAreRefused(t *testing.T) {
	for _, address := range []string{"0.0.0.0", "::", "[::]", "192.0.2.1", "10.0.0.1", "example.com", "", "localhost.example.com", "127.0.0.1.example.com"} {
		if l, err := proxy.Listen(address, 0); err == nil || !strings.Contains(err.Error(), "is not of this machine alone") {
			t.Errorf("%s: %v, %v", address, l, err)
		}
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.2", "localhost", "::1", "[::1]"} {
		l, err := proxy.Listen(address, 0)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		var number int
		fmt.Sscan(port, &number)
		if _, err := proxy.Listen(address, number); err == nil || !strings.Contains(err.Error(), "give another --port") {
			t.Errorf("%s, a port that is taken: %v", address, err)
		}
		l.Close()
	}
}

func TestWarningsAreKubectls(t *testing.T) {
	api := &rest.Config{Host: "https://127.0.0.1:1/below"}
	for want, args := range map[string][]string{
		"Your kube context contains a server path /below, use --append-server-path": nil,
		"Request filter disabled, your proxy is vulnerable to XSRF attacks":         {"--disable-filter"},
		"Request filter has been relaxed":                                           {"--reject-paths="},
		"Failed to stat static file directory /no/such:":                            {"--www=/no/such"},
	} {
		if _, warned := run(t, api, append(args, "--port=0")...); !strings.Contains(warned, want) {
			t.Errorf("%q: warned is %q, want %q", args, warned, want)
		}
	}
	if _, warned := run(t, api, "--append-server-path", "--port=0"); warned != "" {
		t.Errorf("warned is %q", warned)
	}
}

func TestFlagsThatDoNotGoTogether(t *testing.T) {
	if err := flags(t, "--port=1", "--unix-socket=/x").Check(); err == nil || err.Error() != "cannot set --unix-socket and --port at the same time" {
		t.Error(err)
	}
	for _, args := range [][]string{{"--accept-hosts=("}, {"--www=/tmp", "--www-prefix=/"}} {
		if err := flags(t, append(args, "--port=0")...).Run(t.Context(), &rest.Config{}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestPodsTokenIsReadForEachRequest replaces it between two.
func TestPodsTokenIsReadForEachRequest(t *testing.T) {
	seen := make(chan string, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Authorization") }))
	defer api.Close()
	file := filepath.Join(t.TempDir(), "token")
	at, _ := run(t, proxy.WithTokenFile(&rest.Config{Host: api.URL}, file), "--port=0")
	for _, token := range []string{"first", "second\n"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, upgrade := range []bool{false, true} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/api", nil)
			if err != nil {
				t.Fatal(err)
			}
			if upgrade {
				req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			select {
			case got := <-seen:
				if got != "Bearer "+strings.TrimSpace(token) {
					t.Errorf("upgrade %v: sent is %q", upgrade, got)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the API is not asked")
			}
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + at + "/api")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusInternalServerError || len(seen) > 0 {
		t.Errorf("without a token: %s", resp.Status)
	}
}

func TestOutsideOfPodsThereIsNone(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBERNETES_SERVICE_PORT", "")
	if c, err := proxy.InPod(); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	if _, err := os.Stat("/var/run/secrets/kubernetes.io/serviceaccount/token"); err == nil {
		return // this is a pod
	}
	if c, err := proxy.InPod(); err == nil || !strings.Contains(err.Error(), "is its token mounted?") {
		t.Errorf("%v, %v", c, err)
	}
}
