package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pause is how long a slow reader reads nothing: longer than the period of pings.
const pause = 7 * time.Second

// slowly runs a line of shell as a user would, and reads its output only after pause.
// webSockets is what KUBECTL_REMOTE_COMMAND_WEBSOCKETS is set to.
func (s *system) slowly(t testing.TB, webSockets bool, line string) (out []byte, code int, stderr string, err error) {
	t.Helper()
	cmd := s.command(t, "bash", "-c", line)
	cmd.Env = append(cmd.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+strconv.FormatBool(webSockets))
	var said bytes.Buffer
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, "", err
	}
	time.Sleep(pause)
	out, err = io.ReadAll(pipe)
	var failed *exec.ExitError
	if ended := cmd.Wait(); errors.As(ended, &failed) {
		code = failed.ExitCode()
	} else {
		err = errors.Join(err, ended)
	}
	return out, code, said.String(), err
}

// TestSlowReaderOfAStreamGetsAllAndTheStatus reads nothing for longer than a ping takes
// to come, while the process ends: kubernetes issue 124571.
func TestSlowReaderOfAStreamGetsAllAndTheStatus(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	const count = "seq 1 300000; exit 7"
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
  containers: [{name: main, image: "busybox:1.28", stdin: true, stdinOnce: true, command: [sh, -c, "read go; seq 1 500000; sleep 3"]}]
`)
	}
	shared.running(t, ns, "p", "attached-true", "attached-false")
	run := "kubectl exec -n " + ns + " %s p -- sh -c '" + count + "'"
	var all sync.WaitGroup
	for what, tt := range map[string]struct {
		line  string
		lines int // that of kubectl about the exit code counts where it is printed
		code  int
	}{
		"exec":                      {"kubectl exec -n " + ns + " p -- sh -c 'seq 1 1000000; exit 7'", 1_000_000, 7},
		"a little":                  {"kubectl exec -n " + ns + " p -- sh -c 'seq 1 60000; exit 7'", 60_000, 7},
		"closed input":              {fmt.Sprintf(run, "-i") + " </dev/null", 300_000, 7},
		"open input":                {"sleep 15 | " + fmt.Sprintf(run, "-i"), 300_000, 7},
		"input after the end":       {"(sleep 3; echo a; sleep 1; echo b) | " + fmt.Sprintf(run, "-i"), 300_000, 7},
		"terminal":                  {`script -qec "kubectl exec -it -n ` + ns + ` p -- sh -c 'seq 1 200000; exit 7'" /dev/null`, 200_001, 7},
		"both outputs":              {"kubectl exec -n " + ns + " p -- sh -c 'seq 1 100000 >&2 & seq 1 300000; wait; exit 7' 2>&1", 400_001, 7},
		"a process that holds them": {"kubectl exec -n " + ns + " p -- sh -c 'sleep 9 & " + count + "'", 300_000, 7},
		// What a container writes last of all the runtime may drop, so it lives on.
		"attach": {"(echo go; sleep 15) | kubectl attach -n " + ns + " -i attached-%t", 500_000, 0},
	} {
		for _, webSockets := range []bool{true, false} {
			all.Go(func() {
				line := strings.ReplaceAll(tt.line, "%t", strconv.FormatBool(webSockets))
				out, code, stderr, err := shared.slowly(t, webSockets, line)
				if got := bytes.Count(out, []byte("\n")); err != nil || got != tt.lines || code != tt.code {
					t.Errorf("%s, WebSockets %t: %d lines of %d, exit code %d, want %d, %v\n%s",
						what, webSockets, got, tt.lines, code, tt.code, err, tail(stderr, 5))
				}
			})
		}
	}
	all.Wait()
}

// TestSlowReaderOfALogGetsAll reads nothing for a while of a log that is larger than
// what the kernel holds.
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
	var all sync.WaitGroup
	for _, flags := range []string{"-f", ""} {
		all.Go(func() {
			line := "kubectl logs -n " + ns + " p " + flags
			if flags == "" {
				line = "kubectl wait -n " + ns + " --for=jsonpath='{.status.phase}'=Succeeded --timeout=45s pod/p >&2 && " + line
			}
			out, code, stderr, err := shared.slowly(t, true, line)
			if got := bytes.Count(out, []byte("\n")); err != nil || got != 150_000 || code != 0 {
				t.Errorf("%q: %d lines of 150000, exit code %d, %v\n%s", flags, got, code, err, stderr)
			}
		})
	}
	all.Wait()
}
