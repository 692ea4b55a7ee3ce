// Package tokenreport prints for a person what internal/inspect has found out about a token.
package tokenreport

import (
	"fmt"
	"io"
	"math"
	"strings"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/plain"
)

// lifeWidth is the length of the life bar in characters.
const lifeWidth = 40

// reportPrinter prints a report for a person.
type reportPrinter struct {
	out   io.Writer
	paint paint.Paint
	inspect.Report
	// inVolume says that the token was read where an agent keeps it.
	inVolume bool
}

// Print prints what a token says, its life, and the checks. inVolume says that the
// token was read where an agent keeps it.
func Print(out io.Writer, p paint.Paint, token inspect.Token, report inspect.Report, inVolume bool) {
	r := reportPrinter{out, p, report, inVolume}
	if token.Readable() {
		r.claims(token)
		r.life(token)
	} else {
		r.text("Header as it is", report.HeaderText)
		r.text("Claims as they are", report.ClaimsText)
	}
	r.checks()
}

// row prints one line; without a name it goes on with the line before.
func (r *reportPrinter) row(name, format string, args ...any) {
	fmt.Fprintf(r.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
}

// text prints a part of a token that nobody can be sure to understand.
func (r *reportPrinter) text(name, part string) {
	const most = 4 << 10
	if part == "" {
		return
	}
	cut := ""
	if len(part) > most {
		part, cut = part[:most], fmt.Sprintf("\n… (%d bytes in all)", len(part))
	}
	fmt.Fprintf(r.out, "%s:\n%s%s\n\n", name, part, cut)
}

func (r *reportPrinter) claims(token inspect.Token) {
	c, header := token.Claims(), token.Header()
	r.row("Issuer", "%s", plain.Text(c.Issuer))
	r.row("Subject", "%s", plain.Text(c.Subject))
	if legacy, ok := token.Legacy(); ok {
		r.row("Account", "%s in %s, uid %s", plain.Text(legacy.ServiceAccount), plain.Text(legacy.Namespace), plain.Text(legacy.ServiceAccountUID))
		r.row("Kept in", "secret %s", plain.Text(legacy.Secret))
	} else {
		r.bound(&c)
	}
	if c.ID != "" {
		r.row("ID", "%s", plain.Text(c.ID))
	}
	r.dates(&c)
	if names := token.OtherClaims(); len(names) > 0 {
		r.row("Other claims", "%s", plain.List(names))
	}
	r.header(header)
	if r.Signature != "" {
		r.row("Signature", "%s", r.Signature)
	}
	fmt.Fprintln(r.out)
}

func (r *reportPrinter) header(h boundtoken.Header) {
	key := "no key named"
	if h.KeyID != "" {
		key = "key " + plain.Text(h.KeyID)
	}
	kind := ""
	if h.Type != "" {
		kind = ", type " + plain.Text(h.Type)
	}
	r.row("Header", "%s, %s%s", h.Algorithm, key, kind)
}

// bound prints whom the token is for and what it lives with.
func (r *reportPrinter) bound(c *boundtoken.Claims) {
	if len(c.Audience) > 0 {
		r.row("Audience", "%s", plain.List(c.Audience))
	}
	k := &c.Kubernetes
	if k.ServiceAccount.Name != "" || k.Namespace != "" {
		r.row("Account", "%s in %s, uid %s", plain.Text(k.ServiceAccount.Name), plain.Text(k.Namespace), plain.Text(k.ServiceAccount.UID))
	}
	name := "Bound to"
	for _, one := range []struct {
		kind string
		ref  *boundtoken.Ref
	}{{"pod", k.Pod}, {"secret", k.Secret}, {"node", k.Node}} {
		if one.ref == nil {
			continue
		}
		if one.kind == "node" && k.Pod != nil {
			name = "On" // a record of where the pod was, not a bond
		}
		r.row(name, "%s %s, uid %s", one.kind, plain.Text(one.ref.Name), plain.Text(one.ref.UID))
		name = ""
	}
	if k.Pod == nil && k.Secret == nil && k.Node == nil && k.ServiceAccount.Name != "" {
		r.row(name, "nothing but the account")
	}
}

func (r *reportPrinter) dates(c *boundtoken.Claims) {
	at := func(name string, d boundtoken.Date) {
		if d != 0 {
			r.row(name, "%s, %s", inspect.Moment(d.Time()), inspect.Relative(d.Time(), r.Time))
		}
	}
	at("Issued", c.IssuedAt)
	if c.NotBefore != c.IssuedAt {
		at("Valid from", c.NotBefore)
	}
	at("Warn after", c.Kubernetes.WarnAfter)
	at("Expires", c.Expiry)
}

// life prints how far the token is on its way, and when it is replaced.
func (r *reportPrinter) life(token inspect.Token) {
	l := r.Life
	if l == nil {
		return
	}
	r.row("Life", "%s  %.0f %% of %s", lifeBar(l), math.Floor(l.Over*100), inspect.Span(l.End.Sub(l.Start)))
	switch rotation := l.Rotation; {
	case rotation == nil:
		r.row("", "no agent replaces it: it is not a pod's")
	default:
		r.row("", "%s at %s (%s), %s", r.replaced(r.Time.Before(rotation.At)), inspect.Moment(rotation.At), rule(rotation), inspect.Relative(rotation.At, r.Time))
	}
	if l.Extended() {
		r.row("", "its use is reported as stale from %s on; it works until it expires", inspect.Moment(l.End))
	}
	fmt.Fprintln(r.out)
}

// replaced says who replaces the token, or should have.
func (r *reportPrinter) replaced(later bool) string {
	switch {
	case r.inVolume && later:
		return "the agent replaces the file"
	case r.inVolume:
		return "the agent should have replaced the file"
	case later:
		return "in a pod's volume, the agent replaces it"
	}
	return "in a pod's volume, the agent would have replaced it"
}

func rule(r *inspect.Rotation) string {
	if r.Daily {
		return "24 hours"
	}
	return "80 % of its life"
}

// lifeBar draws a life: what is over, what is left, and the moment of rotation.
func lifeBar(l *inspect.Life) string {
	bar, over := make([]string, lifeWidth), int(math.Round(l.Over*lifeWidth))
	for i := range bar {
		bar[i] = "░"
		if i < over {
			bar[i] = "█"
		}
	}
	if l.Rotation != nil {
		bar[min(int(l.Rotation.Part*lifeWidth), lifeWidth-1)] = "│"
	}
	return strings.Join(bar, "")
}

func (r *reportPrinter) checks() {
	for _, c := range r.Checks {
		mark, reason := r.paint.Good("✓"), c.Reason
		switch c.Result {
		case inspect.Failed:
			mark = r.paint.Bad("✗")
		case inspect.NotMade:
			mark, reason = r.paint.Faint("–"), r.paint.Faint("not checked: "+c.Reason)
		}
		fmt.Fprintf(r.out, "%s %-10s %s\n", mark, c.Name, reason)
	}
}
