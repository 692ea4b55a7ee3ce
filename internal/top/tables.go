package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/top/picture"
)

// view is one of the tables.
type view int

const (
	podsView view = iota
	volumesView
	tokensView
	updatesView
	views
)

var titles = [...]string{"Pods", "Volumes", "Tokens", "Updates"}

// moment is the time that a table tells of.
type moment struct {
	clock picture.Clock
	now   time.Time
}

// table returns the columns and rows of a view.
func table(v view, pods []picture.Pod, m moment) ([]column, []row) {
	switch v {
	case volumesView:
		return volumesTable(pods, m)
	case tokensView:
		return tokensTable(pods, m)
	case updatesView:
		return updatesTable(pods, m)
	}
	return podsTable(pods, m)
}

func podsTable(pods []picture.Pod, m moment) ([]column, []row) {
	columns := []column{{"NAMESPACE", 7}, {"POD", 12}, {"STATE", 10}, {"IN STEP", 7}, {"PUBLISHED", 9}, {"ROTATION", 8}, {"VOLUMES", 8}}
	var rows []row
	for i := range pods {
		p := &pods[i]
		var names []string
		for _, v := range p.Volumes {
			names = append(names, v.Name)
		}
		rows = append(rows, row{namespace: p.Namespace, pod: p.Name, cells: []cell{
			{p.Namespace, faint}, {p.Name, usual}, {p.State.String(), toneOf(p.State)}, {fmt.Sprintf("%d/%d", p.InStep, p.All), usual},
			{m.clock.Ago(p.Published, m.now), usual}, {m.clock.Until(p.Rotates, m.now), usual}, {cmp.Or(strings.Join(names, ","), "-"), faint},
		}})
	}
	return columns, rows
}

func volumesTable(pods []picture.Pod, m moment) ([]column, []row) {
	columns := []column{{"NAMESPACE", 7}, {"POD", 12}, {"VOLUME", 10}, {"PUBLISHED", 9}, {"SOURCES", 12}, {"PROBLEM", 8}}
	var rows []row
	for i := range pods {
		for _, v := range pods[i].Volumes {
			problem := cell{cmp.Or(v.Problem, "-"), faint}
			if v.Problem != "" {
				problem.tone = bad
			}
			rows = append(rows, row{namespace: pods[i].Namespace, pod: pods[i].Name, part: v.Name, cells: []cell{
				{pods[i].Namespace, faint}, {pods[i].Name, usual}, {v.Name, usual}, {m.clock.Ago(v.Published, m.now), usual}, {sources(v), faint}, problem,
			}})
		}
	}
	return columns, rows
}

func sources(v picture.Volume) string {
	var all []string
	for _, s := range v.Sources {
		all = append(all, s.Name)
	}
	for _, t := range v.Tokens {
		all = append(all, t.Path)
	}
	return cmp.Or(strings.Join(all, ","), "-")
}

// barWidth is that of a life in the table of tokens.
const barWidth = 16

func tokensTable(pods []picture.Pod, m moment) ([]column, []row) {
	columns := []column{{"NAMESPACE", 7}, {"POD", 10}, {"FILE", 5}, {"FOR", 7}, {"LIFE", barWidth}, {"ROTATION", 8}, {"ENDS", 7}}
	type token struct {
		pod    *picture.Pod
		volume string
		picture.Token
	}
	var all []token
	for i := range pods {
		for _, v := range pods[i].Volumes {
			for _, t := range v.Tokens {
				all = append(all, token{&pods[i], v.Name, t})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b token) int { return a.Rotates.Compare(b.Rotates) })
	var rows []row
	for _, t := range all {
		ends := cell{m.clock.Until(t.Expires, m.now), usual}
		if !t.Expires.IsZero() && !t.Expires.After(m.now.Add(m.clock.System)) {
			ends.tone = bad
		}
		rows = append(rows, row{namespace: t.pod.Namespace, pod: t.pod.Name, part: t.volume + "/" + t.Path, cells: []cell{
			{t.pod.Namespace, faint}, {t.pod.Name, usual}, {t.Path, usual}, {t.Audience, faint},
			{m.clock.Life(t.Token, m.now, barWidth), good}, {m.clock.Until(t.Rotates, m.now), usual}, ends,
		}})
	}
	return columns, rows
}

func updatesTable(pods []picture.Pod, m moment) ([]column, []row) {
	columns := []column{{"WHEN", 7}, {"NAMESPACE", 7}, {"POD", 12}, {"VOLUME", 8}, {"WHAT", 10}, {"RESULT", 9}, {"MESSAGE", 7}}
	type update struct {
		pod    *picture.Pod
		volume string
		at     time.Time
		what   cell
		result cell
		text   string
	}
	var all []update
	for i := range pods {
		p := &pods[i]
		for _, v := range p.Volumes {
			if !v.Published.IsZero() {
				all = append(all, update{p, v.Name, v.Published, cell{"files", usual}, cell{"published", good}, ""})
			}
			for _, o := range v.Outcomes {
				t := good
				if o.Wrong {
					t = bad
				}
				all = append(all, update{p, v.Name, o.Time, cell{o.Action + " in " + o.Container, usual}, cell{o.Result, t}, o.Message})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b update) int { return b.at.Compare(a.at) })
	var rows []row
	for _, u := range all {
		rows = append(rows, row{namespace: u.pod.Namespace, pod: u.pod.Name, part: u.volume + "/" + u.what.text, cells: []cell{
			{m.clock.Ago(u.at, m.now), usual}, {u.pod.Namespace, faint}, {u.pod.Name, usual}, {u.volume, usual}, u.what, u.result, {u.text, faint},
		}})
	}
	return columns, rows
}
