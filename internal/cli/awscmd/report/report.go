// Package report prints for people what STS and IAM looked at to answer a call. What is in a
// record, and what it hints at, is internal/aws/sts/explain's.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/plain"
)

// List prints calls one by line, the newest first.
func List(out io.Writer, all explain.Records) error {
	if len(all.Records) == 0 {
		fmt.Fprintln(out, "Nobody has called STS or IAM since the server's start.")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tREQUEST\tACTION\tANSWER\tSAID NO")
	for _, raw := range all.Records {
		var r explain.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		answer := r.Code
		if answer == "" {
			answer = http.StatusText(r.Status)
		}
		first, _ := r.First()
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Time.Format(time.RFC3339), r.RequestID, plain.Text(r.Action), plain.Text(answer), first.Name)
	}
	return w.Flush()
}

// printer prints a record. Everything in it may come from a stranger.
type printer struct {
	out   io.Writer
	paint paint.Paint
}

// Print prints a call with its checks.
func Print(out io.Writer, p paint.Paint, r *explain.Record) error {
	w := printer{out, p}
	w.head(r)
	for _, c := range r.Checks {
		w.check(c)
	}
	if len(r.Decision) == 0 {
		return nil
	}
	var decisions []policy.Decision
	if err := json.Unmarshal(r.Decision, &decisions); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	for i := range decisions {
		if !decisions[i].Allowed() {
			w.decision(&decisions[i])
			break
		}
	}
	return nil
}

// row prints a line with a name; without a value it prints nothing.
func (w printer) row(name, value string) {
	if value != "" {
		fmt.Fprintf(w.out, "%-12s %s\n", name, value)
	}
}

func text(s string) string {
	if s == "" {
		return ""
	}
	return plain.Text(s)
}

func (w printer) head(r *explain.Record) {
	answer := w.paint.Good("would be allowed")
	if r.RequestID != "" {
		answer = w.paint.Good("allowed")
	}
	if r.Code != "" {
		answer = w.paint.Bad(text(r.Code)) + fmt.Sprintf(" (%d): %s", r.Status, text(r.Message))
	}
	w.row("Call", text(r.Action))
	w.row("Answer", answer)
	w.row("Request", text(r.RequestID))
	if r.RequestID != "" {
		w.row("Time", r.Time.Format(time.RFC3339))
		w.row("To", text(r.Host+r.Path)+", region "+text(r.Region))
		w.row("From", text(r.Source)+" "+text(r.Agent))
	}
	w.row("Caller", text(r.Caller))
	w.row("Role", text(r.Role))
	if t := r.Token; t != nil {
		w.row("Token", "issuer "+plain.Text(t.Issuer))
		w.row("", "subject "+plain.Text(t.Subject))
		w.row("", "audience "+plain.List(t.Audiences))
		w.row("", w.paint.Faint("claims "+plain.List(t.Claims)))
	}
	fmt.Fprintln(w.out)
}

func (w printer) check(c explain.Check) {
	sign := w.paint.Good("yes")
	switch c.Verdict {
	case explain.No:
		sign = w.paint.Bad("NO ")
	case explain.Skipped:
		sign = w.paint.Faint(" - ")
	}
	if c.Verdict == explain.Yes {
		fmt.Fprintf(w.out, "%s  %-12s %s\n", sign, c.Name, text(c.Got))
		return
	}
	fmt.Fprintf(w.out, "%s  %-12s %s\n", sign, c.Name, text(c.Why))
	more := func(what, value string) {
		if value != "" {
			fmt.Fprintf(w.out, "     %-12s %-5s %s\n", "", what, text(value))
		}
	}
	more("got", c.Got)
	more("want", c.Want)
	for _, h := range c.Hints {
		more("try", h)
	}
}

// decision prints, statement by statement, what a policy asks beside what the call has.
func (w printer) decision(d *policy.Decision) {
	for _, e := range d.Evaluations {
		if e.Layer != d.Layer {
			continue
		}
		layer := string(e.Layer)
		if e.Layer == policy.TrustLayer {
			layer = "trust policy"
		}
		fmt.Fprintf(w.out, "\nThe %s of %s, asked for %s:\n", layer, text(e.Source), text(d.Action))
		for _, s := range e.Statements {
			name := fmt.Sprintf("statement %d", s.Index+1)
			if s.Sid != "" {
				name += " " + text(s.Sid)
			}
			fmt.Fprintf(w.out, "  %s (%s)\n", name, s.Effect)
			if s.Principal.Policy != nil {
				var named []string
				for _, p := range s.Principal.Policy {
					named = append(named, string(p.Type)+" "+p.Value)
				}
				w.part(s.Principal.Grant != policy.NoGrant, "Principal", plain.List(named), who(s.Principal.Request))
			}
			for _, p := range []policy.Part{s.Action, s.Resource} {
				if p.Element != "" {
					w.part(p.Matched, p.Element, plain.List(p.Policy), text(p.Request))
				}
			}
			for _, c := range s.Conditions {
				has := "nothing"
				if c.Present {
					has = plain.List(c.Request)
				}
				w.part(c.Matched, text(c.Operator)+" "+text(c.Key), plain.List(c.Policy), has)
			}
		}
	}
}

func who(p policy.Principal) string {
	for _, s := range []string{p.Federated, p.Service, p.ARN, p.Account} {
		if s != "" {
			return text(s)
		}
	}
	return "nobody"
}

func (w printer) part(matched bool, name, asks, has string) {
	sign := w.paint.Good("yes")
	if !matched {
		sign = w.paint.Bad("NO ")
	}
	fmt.Fprintf(w.out, "    %s  %s\n", sign, name)
	if matched && asks == has {
		fmt.Fprintf(w.out, "         %s\n", has)
		return
	}
	fmt.Fprintf(w.out, "         policy  %s\n         call    %s\n", asks, strings.TrimSpace(has))
}
