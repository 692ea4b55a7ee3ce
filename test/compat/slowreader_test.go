package compat

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pause is how long a slow reader reads nothing: longer than the period of pings.
const pause = 7 * time.Second

// slowly runs a line of shell as a user would, and reads its output only after pause.
// protocol is what KUBECTL_REMOTE_COMMAND_WEBSOCKETS is set to.
func (s *system) slowly(t testing.TB, webSockets bool, line string) (out []byte, code int, stderr string) {
	t.Helper()
	cmd := s.command(t, "bash", "-c", line)
	cmd.Env = append(cmd.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+strconv.FormatBool(webSockets))
	var errors bytes.Buffer
	cmd.Stderr = &errors
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(pause)
	out, err = io.ReadAll(pipe)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		failed, ok := err.(*exec.ExitError)
		if !ok {
			t.Fatal(err)
		}
		code = failed.ExitCode()
	}
	return out, code, errors.String()
}

// TestSlowReaderOfAStreamGetsAllAndTheStatus reads nothing for longer than a ping takes
// to come, while the process ends: kubernetes issue 124571.
func TestSlowReaderOfAStreamGetsAllAndTheStatus(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	const count = "seq 1 1000000; exit 7"
	shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.28", command: [sleep, "100000"]}]
`)
	for _, name := range []string{"attached-true", "attached-false"} {
		shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: `+name+`}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.28", stdin: true, stdinOnce: true, command: [sh, -c, "read go; `+count+`"]}]
`)
	}
	shared.running(t, ns, "p", "attached-true", "attached-false")
	run := "kubectl exec -n " + ns + " %s p -- sh -c '" + count + "'"
	for what, tt := range map[string]struct {
		line  string
		lines int
		code  int
	}{
		"exec":                      {fmt.Sprintf(run, ""), 1_000_000, 7},
		"a little":                  {"kubectl exec -n " + ns + " p -- sh -c 'seq 1 60000; exit 7'", 60_000, 7},
		"closed input":              {fmt.Sprintf(run, "-i") + " </dev/null", 1_000_000, 7},
		"open input":                {"sleep 15 | " + fmt.Sprintf(run, "-i"), 1_000_000, 7},
		"input after the end":       {"(sleep 3; echo a; sleep 1; echo b) | " + fmt.Sprintf(run, "-i"), 1_000_000, 7},
		"terminal":                  {`script -qec "` + fmt.Sprintf(run, "-it") + `" /dev/null`, 1_000_000, 7},
		"both outputs":              {"kubectl exec -n " + ns + " p -- sh -c 'seq 1 300000 >&2 & seq 1 500000; wait; exit 7' 2>&1", 800_000, 7},
		"a process that holds them": {"kubectl exec -n " + ns + " p -- sh -c 'sleep 9 & " + count + "'", 1_000_000, 7},
		"attach":                    {"(echo go; sleep 15) | kubectl attach -n " + ns + " -i attached-%t", 1_000_000, 0},
	} {
		for _, webSockets := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, WebSockets %t", what, webSockets), func(t *testing.T) {
				t.Parallel()
				line := strings.ReplaceAll(tt.line, "%t", strconv.FormatBool(webSockets))
				out, code, stderr := shared.slowly(t, webSockets, line)
				got := 0
				for text := range bytes.Lines(out) {
					if _, err := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil {
						got++
					}
				}
				if got != tt.lines || code != tt.code {
					t.Errorf("%d lines of %d, exit code %d, want %d\n%s", got, tt.lines, code, tt.code, tail(stderr, 5))
				}
			})
		}
	}
}

// TestSlowReaderOfALogGetsAll reads nothing for a while of a log that is larger than
// what the kernel holds, also of one that is rotated meanwhile.
func TestSlowReaderOfALogGetsAll(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, "sleep 2; seq 1 150000; sleep 3"]}]
`)
	shared.running(t, ns, "p")
	for what, flags := range map[string]string{"follow": "-f", "later": ""} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if flags == "" {
				shared.sh(t, "kubectl wait -n "+ns+" --for=jsonpath='{.status.phase}'=Succeeded --timeout=45s pod/p")
			}
			out, code, stderr := shared.slowly(t, true, "kubectl logs -n "+ns+" p "+flags)
			if got := bytes.Count(out, []byte("\n")); got != 150_000 || code != 0 {
				t.Errorf("%d lines of 150000, exit code %d\n%s", got, code, stderr)
			}
		})
	}
}
