package inspector

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"laterna.dev/laterna/test/tools/browser"
)

// account is one that no other test has calls in; its role trusts account app of namespace
// inspected-calls.
const (
	account = "210987654321"
	ofCalls = "inspected-calls"
	role    = "arn:aws:iam::" + account + ":role/" + ofCalls + "-app"
)

// assume has curl assume the role with a token of a service account, as the page of a
// server without calls says, and returns the token and the request's id.
func assume(t *testing.T, who, audience, session string) (token, id string) {
	t.Helper()
	token = strings.TrimSpace(sh(t, "kubectl -n "+ofCalls+" create token "+who+" --audience "+audience))
	answer := sh(t, fmt.Sprintf(`printf %%s %s | curl -s -A '`+markup+`' -d Action=AssumeRoleWithWebIdentity -d Version=2011-06-15 -d RoleArn=%s --data-urlencode RoleSessionName=%s --data-urlencode WebIdentityToken@- %s/aws/`, token, role, session, browser.Server(t)))
	_, id, ok := strings.Cut(answer, "<RequestId>")
	if !ok {
		t.Fatalf("the answer names no request: %s", answer)
	}
	id, _, _ = strings.Cut(id, "<")
	return token, id
}

// TestCalls looks at why calls were denied; its parts go on from each other.
func TestCalls(t *testing.T) {
	sh(t, "kubectl create namespace "+ofCalls)
	sh(t, "kubectl -n "+ofCalls+" create serviceaccount app && kubectl -n "+ofCalls+" create serviceaccount other")
	sh(t, "laterna aws init --data-dir $LATERNA_DATA_DIR --account "+account+" --service-account "+ofCalls+"/app")
	var tokens []string
	made := func(token, id string) string {
		tokens = append(tokens, token)
		return id
	}
	made(assume(t, "app", "sts.amazonaws.com", "good"))
	denied := made(assume(t, "other", "sts.amazonaws.com", "denied"))
	b := browser.Start(t)
	root := browser.Server(t) + "/projections/"
	p := open(t, b, root+"#/calls?find="+account, `document.querySelectorAll('.call').length === 2`)

	t.Run("a new call shows within two seconds", func(t *testing.T) {
		made(assume(t, "app", "sts.amazon.com", "odd"))
		browser.Eval[bool](p, `(window.begun = Date.now(), true)`)
		p.Until(`document.querySelectorAll('.call').length === 3`)
		if ms := browser.Eval[int](p, `Date.now() - window.begun`); ms > 5000 { // the machine is busy
			t.Errorf("after %d ms", ms)
		}
	})
	t.Run("calls are found", func(t *testing.T) { found(t, p) })
	t.Run("a denied call says why", func(t *testing.T) { explained(t, p, denied) })
	t.Run("an address leads to a call", func(t *testing.T) {
		p := open(t, b, root+"#/calls/"+denied, `document.querySelector('.check.first') !== null`)
		p.Quiet()
	})
	t.Run("a token is tried", func(t *testing.T) { tried(t, p, tokens[1]) })
	t.Run("everybody can use it", func(t *testing.T) { callsAccessible(t, p, denied) })
	t.Run("by keyboard", func(t *testing.T) { callsByKeyboard(t, b, root) })
	t.Run("it shows no token", func(t *testing.T) {
		text := browser.Eval[string](p, `document.documentElement.outerHTML`)
		for _, token := range tokens {
			if strings.Contains(text, token[strings.LastIndex(token, ".")+1:]) || strings.Contains(strings.Join(p.Requests(), " "), token) {
				t.Error("a token is on the page, or in an address")
			}
		}
	})
	p.Quiet()
	t.Run("others may not look", func(t *testing.T) { callsRefused(t, b) })
}

func found(t *testing.T, p *browser.Page) {
	count := func(n int) { p.Until(fmt.Sprintf(`document.querySelectorAll('.call').length === %d`, n)) }
	p.Click(".count.refused")
	count(2)
	p.Click(".count.allowed")
	count(1)
	if text := p.See(".call"); !strings.Contains(text, "AssumeRoleWithWebIdentity") || !strings.Contains(text, ofCalls+"/app") || !strings.Contains(text, "allowed") {
		t.Errorf("the call is shown as %q", text)
	}
	p.Click(".count.allowed")
	p.Fill("#find", account+" audience")
	count(1)
	if text := p.See(".call"); !strings.Contains(text, "not proven") || !strings.Contains(text, "InvalidIdentityToken") {
		t.Errorf("the call is shown as %q", text)
	}
	p.Click(".call")
	p.Until(`document.querySelector('.check.first') !== null`)
	if text := p.See(".side"); !strings.Contains(text, markup) || !strings.Contains(text, "sts.amazon.com\" is almost") {
		t.Errorf("it says %q", text)
	}
	p.Fill("#find", account)
	count(3)
}

// explained looks at a call that the trust policy denies.
func explained(t *testing.T, p *browser.Page, id string) {
	p.Click(`.call[href*="` + id + `"]`)
	p.Until(`document.querySelector('.side').textContent.includes('` + id + `') && document.querySelector('.check.first') !== null`)
	for selector, want := range map[string][]string{
		".detail > .notice":          {"Said no: policy"},
		`[data-key=answer]`:          {"AccessDenied (403): Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		".checks .first":             {"What to change", ofCalls + "/other"},
		`.statement .check.no`:       {"differs", "system:serviceaccount:" + ofCalls + ":app", "system:serviceaccount:" + ofCalls + ":other"},
		`[data-key=call]`:            {role, "denied", "signature is good"},
		`.checks .check:first-child`: {"claims", "yes"},
	} {
		text := p.See(selector)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s says %q, want %q in it", selector, text, w)
			}
		}
	}
}

// tried asks what a token would be answered, and sees that nothing of it stands anywhere.
func tried(t *testing.T, p *browser.Page, token string) {
	p.Click(".try summary")
	p.Fill("#try-role", role)
	p.Fill("#try-token", token)
	p.Keys(kb.Enter)
	p.Until(`location.hash.startsWith('#/calls/try') && document.querySelector('.check.first') !== null`)
	if left := browser.Eval[string](p, `document.getElementById('try-token').value`); left != "" {
		t.Error("the form keeps the token")
	}
	if text := p.See(".side"); !strings.Contains(text, "What it would be told") || !strings.Contains(text, ofCalls+"/other") {
		t.Errorf("it says %q", text)
	}
}

// callsAccessible has axe-core look at list, call and form, light, dark and small.
func callsAccessible(t *testing.T, p *browser.Page, id string) {
	picture := func(name string) {
		if dir := os.Getenv("LATERNA_PICTURES"); dir != "" {
			p.Screenshot(dir + "/inspector-calls" + name + ".png")
		}
	}
	p.Size(1100, 800)
	p.Accessible()
	browser.Eval[bool](p, fmt.Sprintf(`(document.querySelector('.try').open = false, location.hash = '#/calls/%s?find=%s', true)`, id, account))
	p.Until(`document.querySelector('.statement') !== null`)
	for _, dark := range []bool{true, false} {
		p.Dark(dark)
		p.Accessible()
		picture(map[bool]string{false: "", true: "-dark"}[dark])
	}
	p.Phone()
	p.Accessible()
	picture("-phone")
	sideways := func() {
		if n := browser.Eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); n > 0 {
			t.Errorf("a phone has to scroll sideways by %d pixels", n)
		}
	}
	sideways()
	p.Click(".back a")
	p.Until(`document.querySelectorAll('.call').length === 3`)
	p.Accessible()
	sideways()
}

// callsByKeyboard gets to a call by tab and enter alone.
func callsByKeyboard(t *testing.T, b *browser.Browser, root string) {
	p := open(t, b, root+"#/calls?find="+account+"%20denied", `document.querySelectorAll('.call').length === 1`)
	for i := 0; !browser.Eval[bool](p, `document.activeElement.matches('.call')`); i++ {
		if i == 20 {
			t.Fatal("tab does not get to the call")
		}
		p.Keys(kb.Tab)
		if !browser.Eval[bool](p, `getComputedStyle(document.activeElement).outlineStyle !== 'none'`) {
			t.Errorf("the focus is not seen on %s", browser.Eval[string](p, `document.activeElement.outerHTML`))
		}
	}
	p.Keys(kb.Enter)
	p.Until(`document.querySelector('.check.first') !== null`)
}

// callsRefused looks with the rights of somebody who has none, and then with those that the
// page says how to give.
func callsRefused(t *testing.T, b *browser.Browser) {
	p := open(t, b, proxy(t, as(t, "cal"), "/k8s")+"/projections/#/calls", `document.querySelector('[data-key=refused]') !== null`)
	text := p.See("[data-key=refused]")
	for _, want := range []string{`User "cal" cannot get path "/aws/explain"`, "kubectl create clusterrole aws-explain"} {
		if !strings.Contains(text, want) {
			t.Errorf("it says %q, want %q in it", text, want)
		}
	}
	p.Accessible()
	lines := browser.Eval[string](p, `document.querySelector('main pre').textContent`)
	sh(t, strings.ReplaceAll(lines, "NAME", "cal"))
	defer sh(t, "kubectl delete clusterrole,clusterrolebinding aws-explain")
	open(t, b, proxy(t, as(t, "cal"), "/k8s")+"/projections/#/calls?find="+account, `document.querySelectorAll('.call').length === 3`)
}
