package top

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/top/picture"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// showing is a screen of so many pods.
func showing(pods int) *screen {
	s := newScreen(Config{Clock: clock.WallOf(clocktesting.NewFakeClock(now))})
	s.ready = true
	for i := range pods {
		s.all = append(s.all, picture.Pod{
			Namespace: "team", Name: fmt.Sprintf("pod-%03d", i), Node: "n1", Phase: "Running", State: picture.InStep, InStep: 2, All: 2,
			Published: now.Add(-time.Minute), Rotates: now.Add(time.Hour),
			Volumes: []picture.Volume{{
				Name: "identity", Published: now.Add(-time.Minute),
				Sources:  []picture.Source{{Kind: "ConfigMap", Name: "app", Loaded: "7", Seen: "7", Has: "8", Behind: true}},
				Tokens:   []picture.Token{{Path: "token", Audience: "vault", Issued: now.Add(-time.Hour), Rotates: now.Add(time.Hour), Expires: now.Add(2 * time.Hour)}},
				Outcomes: []picture.Outcome{{Container: "main", Action: "exec reload", Result: "failed", Wrong: true, Time: now, Message: strings.Repeat("word ", 40)}},
			}},
		})
	}
	return s
}

func (s *screen) keys(keys ...string) *screen {
	codes := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "down": tea.KeyDown, "up": tea.KeyUp, "tab": tea.KeyTab, "end": tea.KeyEnd, "pgdown": tea.KeyPgDown, "backspace": tea.KeyBackspace}
	for _, k := range keys {
		if code, ok := codes[k]; ok {
			s.Update(tea.KeyPressMsg{Code: code})
			continue
		}
		for _, r := range k {
			s.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
	return s
}

// lines is what is drawn without its looks.
func (s *screen) lines() []string {
	var b strings.Builder
	text := s.View().Content
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		b.WriteString(before)
		if !found {
			return strings.Split(b.String(), "\n")
		}
		_, text, _ = strings.Cut(after, "m")
	}
}

func (s *screen) has(t *testing.T, parts ...string) {
	t.Helper()
	all := strings.Join(s.lines(), "\n")
	for _, p := range parts {
		if !strings.Contains(all, p) {
			t.Errorf("no %q on\n%s", p, all)
		}
	}
}

// TestEveryViewFits draws all views in several sizes, the smallest that there are, too.
func TestEveryViewFits(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}, {20, 5}, {1, 1}} {
		for _, keys := range []string{"1", "2", "3", "4"} {
			for _, open := range []bool{false, true} {
				s := showing(300)
				s.troubles = []string{"you may not list configmaps in all namespaces; name one with --namespace"}
				s.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				s.keys(keys)
				if open {
					s.keys("enter", "end")
				}
				lines := s.lines()
				if len(lines) > size[1] {
					t.Errorf("%v, view %s: %d lines", size, keys, len(lines))
				}
				for _, l := range lines[1:] {
					if n := utf8.RuneCountInString(l); n > size[0] && size[0] >= 80 {
						t.Errorf("%v, view %s: %d characters in %q", size, keys, n, l)
					}
				}
			}
		}
	}
}

func TestKeysGoWhereTheyAreSaidTo(t *testing.T) {
	s := showing(50)
	s.has(t, "50 pods", "50 in step", "[1 Pods]", "pod-000", "60s ago")
	s.keys("end").has(t, "pod-049")
	s.keys("enter").has(t, "team/pod-049", "files show 7, API has 8", "behind", "for vault", "issued 60m ago, rotates in 60m, ends in 120m", "exec reload in main", "failed")
	s.keys("esc", "tab").has(t, "[2 Volumes]", "app,token")
	s.keys("tab").has(t, "[3 Tokens]", "vault", "━━━━━●")
	s.keys("4").has(t, "[4 Updates]", "exec reload")
	s.keys("1", "/", "pod-04").has(t, "/pod-04", "pod-040")
	if all := strings.Join(s.lines(), "\n"); strings.Contains(all, "pod-000") {
		t.Error("the filter lets others through")
	}
	s.keys("backspace", "backspace", "backspace", "q", "enter").has(t, "Nothing matches")
	s.keys("esc", "s", "g").has(t, "sort: name", "pod-000")
	if _, cmd := s.Update(tea.KeyPressMsg{Code: 'q', Text: "q"}); cmd == nil {
		t.Error("q does not leave")
	}
}

func TestChoiceHoldsItsPod(t *testing.T) {
	s := showing(10)
	s.keys("down", "down")
	s.View()
	s.all[9].State = picture.Problem // goes to the top
	if _, rows := s.rows(); rows[s.chosen[podsView]].pod != "pod-002" || rows[0].pod != "pod-009" {
		t.Errorf("chosen is %s", rows[s.chosen[podsView]].pod)
	}
	s.keys("enter")
	s.all = s.all[:1]
	s.has(t, "The pod is gone")
}

func TestNothingToShowIsSaid(t *testing.T) {
	s := showing(0)
	s.has(t, "No pods yet")
	s.ready = false
	s.has(t, "Reading the API")
	s.ready, s.troubles = true, []string{"you may not list pods in all namespaces"}
	s.has(t, "! you may not list pods", "Nothing to show")
}

func TestMovedClockIsSaid(t *testing.T) {
	s := showing(1)
	s.clock.System = 25 * time.Hour
	s.has(t, "clock moved by 25h0m0s")
}
