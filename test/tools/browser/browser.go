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
type Browser struct {
	ctx   context.Context
	apart *apart
}

// programs are the names that a Chromium goes by.
var programs = []string{"chromium", "chromium-browser", "google-chrome"}

// find returns where there is one.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("there is none of %q: run make test-deps", programs)
	return ""
}

// Start runs a browser until the end of the test, in a network of its own. It reaches
// the servers whose pages are opened, on this machine, and resolves no names.
func Start(t testing.TB) *Browser {
	t.Helper()
	b := &Browser{apart: newApart(t)}
	path := b.apart.program(t, find(t))
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		// Chromium's sandbox must be started by somebody else than root, as whom tests that
		// start containers run.
		chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true),
	)
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
	b.ctx = ctx
	return b
}
