package compat

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// window is a terminal of 80 by 24 characters, as tmux shows it.
type window struct{ socket string }

// shows runs a command in a terminal until the end of the test.
func (s *system) shows(t testing.TB, command string) window {
	t.Helper()
	w := window{filepath.Join(t.TempDir(), "tmux")}
	cmd := exec.Command("tmux", "-f", "/dev/null", "-S", w.socket, "new-session", "-d", "-x", "80", "-y", "24", command)
	cmd.Env = append(s.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", w.socket, "kill-server").Run() })
	return w
}

// tmux runs one of its commands, as long as the terminal is there.
func (w window) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", w.socket}, args...)...).CombinedOutput()
	return string(out), err
}

// keys types; names of keys are tmux's.
func (w window) keys(t testing.TB, keys ...string) {
	t.Helper()
	if out, err := w.tmux(append([]string{"send-keys"}, keys...)...); err != nil {
		t.Fatalf("typing %q: %v: %s", keys, err, out)
	}
}

// sees waits until all parts are on the screen, and returns it with its looks.
func (w window) sees(t testing.TB, parts ...string) string {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		screen, err := w.tmux("capture-pane", "-p")
		for _, p := range parts {
			if !strings.Contains(screen, p) {
				return fmt.Errorf("no %q on the screen (%v):\n%s", p, err, screen)
			}
		}
		return nil
	})
	screen, _ := w.tmux("capture-pane", "-p", "-e")
	return screen
}

// TestTopShowsWhatPodsHaveLoaded looks at the live table in a terminal, and leaves it.
func TestTopShowsWhatPodsHaveLoaded(t *testing.T) {
	t.Parallel()
	s := shared
	ns, k := loaded(t, s)
	w := s.shows(t, "laterna top --data-dir "+s.Dir+" -n "+ns+"; echo left; exec sleep 60")
	if screen := w.sees(t, "1 pods", "web", "in step", "5/5", "config,identity"); !colours.MatchString(screen) {
		t.Errorf("the screen has no colours: %q", screen)
	}
	w.keys(t, "Enter")
	w.sees(t, ns[:20], "ConfigMap app", "Secret db", "Token token", "for vault", "●", "rotates in 9")
	version := strings.TrimSpace(s.sh(t, k+`patch configmap app -p '{"data":{"mode":"safe"}}' -o jsonpath={.metadata.resourceVersion}`))
	w.sees(t, "files show "+version+", API has "+version)
	s.sh(t, k+"delete configmap app")
	w.sees(t, "problem", `configmap "app" not found`)
	w.keys(t, "Escape")
	w.sees(t, "[1 Pods]", "3/5", "1 problem")
	w.keys(t, "3")
	w.sees(t, "[3 Tokens]", "vault")
	if out, err := w.tmux("resize-window", "-x", "120", "-y", "12"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.keys(t, "1", "/", "nothing-like-this")
	w.sees(t, "/nothing-like-this", "Nothing matches")
	w.keys(t, "Escape")
	w.sees(t, "q quit")
	w.keys(t, "q")
	w.sees(t, "left")
}

// colours are the codes of colours, but that of the terminal's own.
var colours = regexp.MustCompile("\x1b\\[([0-9]+;)*([39][0-7]|38;[0-9;]+)m")

// TestTopHasNoColoursWhereNobodyWantsThem has NO_COLOR set.
func TestTopHasNoColoursWhereNobodyWantsThem(t *testing.T) {
	t.Parallel()
	s := shared
	w := s.shows(t, "NO_COLOR=1 laterna top --data-dir "+s.Dir+" -n nobody-lives-here")
	screen := w.sees(t, "No pods yet", "0 pods")
	if code := colours.FindString(screen); code != "" {
		t.Errorf("%q is on the screen: %q", code, screen)
	}
}
