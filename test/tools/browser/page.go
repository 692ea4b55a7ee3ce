package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Page is a tab. Its methods end the test when what they are to do cannot be done in 30
// seconds. They wait for elements: what scripts put into a page later is found, too.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	console  []string
	requests []string
}

// Open opens a page in a tab of its own.
func (b *Browser) Open(t testing.TB, address string) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	if at, err := url.Parse(address); err != nil {
		t.Fatal(err)
	} else {
		b.apart.reach(t, at.Host)
	}
	p := &Page{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.console = append(p.console, fmt.Sprintf("%s: %s %s", m.Type, m.Text, m.URL))
			p.mu.Unlock()
		}
	}()
	p.Do("opening "+address, chromedp.Navigate(address))
	return p
}

func (p *Page) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request != nil {
			p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
		}
	case *network.EventWebSocketCreated:
		p.requests = append(p.requests, "GET "+e.URL)
	}
}

// Do does steps of chromedp; what names them when one fails.
func (p *Page) Do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.fatal(what, err)
	}
}

// fatal ends the test with what the page looks like in a file, and has said.
func (p *Page) fatal(what string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), stepTimeout)
	defer cancel()
	if image, shot := chromedp.Run(ctx, chromedp.CaptureScreenshot()); shot == nil {
		if f, create := os.CreateTemp("", "laterna-page-*.png"); create == nil {
			f.Write(image)
			f.Close()
			p.t.Logf("the page looked like %s", f.Name())
		}
	}
	p.t.Fatalf("%s: %v\nconsole: %q\nrequests: %q", what, err, p.Console(), p.Requests())
}

// Click clicks on what a selector of CSS finds first, once it is there to be seen.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Do("clicking "+selector, chromedp.ScrollIntoView(selector, chromedp.NodeVisible), chromedp.Click(selector, chromedp.NodeVisible))
}

// See waits until what a selector of CSS finds is there to be seen, and returns its text.
func (p *Page) See(selector string) string {
	p.t.Helper()
	return run(p, "seeing "+selector, chromedp.Text(selector, chromedp.NodeVisible))
}

// Until waits until an expression of JavaScript is true; it is asked each time that the
// page is drawn. One that cannot be evaluated, since something is not there yet, is not true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	run(p, "waiting until "+expression, chromedp.Poll[bool]("(() => { try { return !!("+expression+") } catch { return false } })()", chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(stepTimeout)))
}

// Keys types into what has the focus; the names of keys that are no letters are in
// chromedp/kb.
func (p *Page) Keys(keys string) {
	p.t.Helper()
	p.Do("typing", chromedp.KeyEvent(keys))
}

// Fill replaces the text of a field as a person does: selects all of it and types.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	quoted, _ := json.Marshal(selector)
	p.Do("filling "+selector,
		chromedp.Focus(selector, chromedp.NodeVisible),
		chromedp.Steps(discard(chromedp.Evaluate[bool](fmt.Sprintf("document.querySelector(%s).select(), true", quoted)))),
		insert(text))
}

// insert types text where the focus is, all of it at once as a paste does.
func insert(text string) chromedp.Action[chromedp.Void] {
	return discard(chromedp.Evaluate[bool](fmt.Sprintf("document.execCommand('insertText', false, %s)", asScript(text))))
}

func asScript(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// Eval returns the value of an expression of JavaScript, awaited where it is a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return run(p, "evaluating "+expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func run[T any](p *Page, what string, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.fatal(what, err)
	}
	return v
}

func discard[T any](a chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := a(ctx, t)
		return chromedp.Void{}, err
	}
}

// Size gives the page a window of so many pixels.
func (p *Page) Size(width, height int64) {
	p.t.Helper()
	p.Do("sizing the page", chromedp.EmulateViewport(width, height))
}

// Phone makes the page that of a small phone.
func (p *Page) Phone() {
	p.t.Helper()
	p.Do("sizing the page", chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)))
}

// Dark tells the page that its reader prefers dark pages, or light ones.
func (p *Page) Dark(dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.Do("preferring "+scheme, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Screenshot writes what is to be seen of the page as a PNG; directories are made.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	image := run(p, "taking a picture", chromedp.Action[[]byte](func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		r, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{OptimizeForSpeed: new(false)})
		if err != nil {
			return nil, err
		}
		return r.Data, nil
	}))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, image, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// Console returns what was said on the console so far, refusals of the page's content
// security policy included.
func (p *Page) Console() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.console...)
}

// Requests returns what the page has asked for so far, each as method and address.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// Quiet fails the test where the page has said something on the console, or has asked
// another server than the one that its address names.
func (p *Page) Quiet() {
	p.t.Helper()
	for _, m := range p.Console() {
		p.t.Errorf("on the console: %s", m)
	}
	own, err := url.Parse(run(p, "reading the address", chromedp.Location()))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range p.Requests() {
		_, address, _ := strings.Cut(r, " ")
		if u, err := url.Parse(address); err != nil || u.Scheme != "data" && u.Scheme != "blob" && u.Host != own.Host {
			p.t.Errorf("the page asks elsewhere: %.200s", r)
		}
	}
}
