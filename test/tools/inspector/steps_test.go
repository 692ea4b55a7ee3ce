package inspector

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"laterna.dev/laterna/test/tools/browser"
)

// open opens a page and waits until an expression is true there.
func open(t testing.TB, b *browser.Browser, address, until string) *browser.Page {
	t.Helper()
	p := b.Open(t, address)
	p.Until(until)
	return p
}

// sh runs a line of shell as a user would type it and returns what it prints.
func sh(t testing.TB, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func apply(t testing.TB, manifest string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// as returns a kubeconfig of another user.
func as(t testing.TB, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), user)
	sh(t, fmt.Sprintf("laterna kubeconfig --data-dir $LATERNA_DATA_DIR --user %s --expires 1h > %s", user, path))
	return path
}

var servesOn = regexp.MustCompile(`^Starting to serve on (\S+)`)

// proxy runs kubectl proxy below a prefix until the end of the test, and returns where
// the API is.
func proxy(t testing.TB, kubeconfig, prefix string) string {
	t.Helper()
	cmd := exec.Command("kubectl", "proxy", "--port=0", "--api-prefix="+prefix)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address := servesOn.FindStringSubmatch(line)
	if err != nil || address == nil {
		t.Fatalf("kubectl proxy prints %q, %v", line, err)
	}
	return "http://" + address[1] + prefix
}
