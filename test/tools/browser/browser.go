package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// stepTimeout bounds one step on a page: tests run beside many others.
const stepTimeout = 30 * time.Second

// Variable is the name of the environment variable that says where the server's root is,
// as `kubectl proxy` shows it: http://127.0.0.1:8001.
const Variable = "LATERNA_PAGES"

// Server is the value of Variable. Without it there is nothing to look at, and the test
// fails: test/compat runs it.
func Server(t testing.TB) string {
	t.Helper()
	url := os.Getenv(Variable)
	if url == "" {
		t.Fatalf("%s is not set: run this by the tests of test/compat, or give it the address of a kubectl proxy", Variable)
	}
	return url
}

// Browser is a headless Chromium with a profile of its own.
type Browser struct{ ctx context.Context }

// Start runs a browser until the end of the test. It resolves no names and reaches
// nothing but this machine's loopback addresses.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		chromedp.WindowSize(1280, 900),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(2*stepTimeout),
	)
	// Chromium's sandbox needs to be started by somebody else than root, as whom the
	// tests that start containers run.
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("ending the browser: %v", err)
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return &Browser{ctx}
}
