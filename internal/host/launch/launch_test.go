package launch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/host/launch"
)

// reportTo makes TestChild a program that starts another one, which reports to the file.
const reportTo = "LATERNA_TEST_REPORT_TO"

// report tells all that a process can have of its caller.
const report = `
echo "umask $(umask)"
cat /proc/self/limits
grep -E '^(Sig(Blk|Ign)|Groups|Gid|CapAmb|CapInh|Cpus_allowed|Mems_allowed|THP_enabled):' /proc/self/status
echo "session and terminal $(($(cut -d' ' -f6 /proc/$$/stat) == $$)) $(cut -d' ' -f7 /proc/$$/stat)"
echo "nice and policy $(cut -d' ' -f19,41 /proc/self/stat)"
echo "input and output $(ionice -p $$)"
echo "personality $(cat /proc/self/personality)"
echo "memory $(sed -n '1s/^[^ ]* \([^ ]*\).*/\1/p' /proc/self/numa_maps)"
echo "slack $(cat /proc/$$/timerslack_ns)"
echo "oom $(cat /proc/self/oom_score_adj)"
ls /proc/self/fd
readlink /proc/self/fd/0
echo "directory $PWD"
env | grep -v ^PWD= | sort
`

func TestChild(t *testing.T) {
	file := os.Getenv(reportTo)
	if file == "" {
		return
	}
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	before := limits(t)
	process, kept, err := launch.Start(launch.Command{
		Path: "/bin/sh", Args: []string{"-c", report}, Env: []string{"PATH=/usr/bin:/bin"}, Output: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := process.Wait(); err != nil || !state.Success() {
		t.Errorf("%v, %v", state, err)
	}
	for _, k := range kept {
		t.Log("kept: ", k)
	}
	if after := limits(t); after != before {
		t.Errorf("own limits after the start:\n%s\nbefore:\n%s", after, before)
	}
}

// limits are the limits of this process but for that of descriptors, which Go changes.
func limits(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// hostile is a caller who has changed everything that a process can hand on. Only soft
// limits, which need no privilege to be undone; a small one of memory would end the test
// itself.
const hostile = `
umask 0777
ulimit -S -c 0 -f 100000 -n 64 -s 1024 -l 16 -u 4000 -t 1000 -q 1000 -i 1000
mkdir -p "$0.dir" && cd "$0.dir"
exec 7<. 8>/dev/null
export LD_LIBRARY_PATH=/nowhere LANG=tr_TR.UTF-8 TMPDIR=/nowhere NOTIFY_SOCKET=/nowhere LISTEN_FDS=2 PATH="$PATH:/nowhere"
exec env --ignore-signal --ignore-signal=RTMIN --block-signal \
  setpriv --inh-caps +chown --ambient-caps +chown --groups 1,2,3 --regid 4 \
  setarch -R chrt --batch 0 nice -n 7 ionice -c 3 taskset -c 0 choom -n 300 -- "$@"
`

// TestNothingOfTheCallerReachesTheProgram starts the program once under this test's own
// conditions and once under hostile ones.
func TestNothingOfTheCallerReachesTheProgram(t *testing.T) {
	run := func(name string, wrap ...string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), name)
		args := append(wrap, os.Args[0], "-test.run=^TestChild$", "-test.v")
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), reportTo+"="+file)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		t.Logf("%s: %s", name, out)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	plain := run("plain")
	got := run("hostile", "bash", "-c", hostile, filepath.Join(t.TempDir(), "caller"))
	if got == plain {
		t.Log(plain)
	}
	want := strings.Split(plain, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) || line != want[i] {
			t.Errorf("%s\nwithout a hostile caller:\n%s", line, want[min(i, len(want)-1)])
		}
	}
	for _, line := range []string{"umask 0022", "SigIgn:\t0000000000000000", "SigBlk:\t0000000000000000", "nice and policy 0 0", "oom 0", "directory /"} {
		if !strings.Contains("\n"+plain, "\n"+line+"\n") {
			t.Errorf("the program does not say %q:\n%s", line, plain)
		}
	}
}
