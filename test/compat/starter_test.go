package compat

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostileStarter runs its arguments with all changed that a process hands on: what
// `make up` does, nohup, cron, a terminal multiplexer or a test harness. Limits are soft,
// as raising a hard one again needs a privilege that machines lack.
const hostileStarter = `
umask 0077
ulimit -S -c 0 -f 100 -n 128 -s 1024 -l 16 -u 200 -t 100000 -q 1000 -i 1000
mkdir -p "$0" && cd "$0" && mkfifo held
exec 7<. 8<>held
export LD_LIBRARY_PATH=/nowhere LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 NOTIFY_SOCKET=/nowhere LISTEN_FDS=2 \
  CONTAINERD_NAMESPACE=other CNI_ARGS=IP=192.0.2.1 ENABLE_CRI_SANDBOXES=1 FROM_THE_CALLER=1
exec env --ignore-signal --ignore-signal=RTMIN --block-signal=USR1 --block-signal=HUP --block-signal=WINCH \
  setpriv --inh-caps +chown --ambient-caps +chown --groups 1,2,3 --regid 4 \
  setarch -R chrt --batch 0 nice -n 7 ionice -c 3 taskset -c 0 choom -n 300 -- "$@"
`

// starterReport tells all that a container can have of whoever started the system.
const starterReport = `exec 2>&1
echo "umask $(umask)"
cat /proc/self/limits
grep -E '^(Sig(Blk|Ign)|NoNewPrivs|Groups|Gid|Cap...|Cpus_allowed|Mems_allowed|THP_enabled):' /proc/self/status
echo "session and terminal $(cut -d' ' -f6,7 /proc/1/stat)"
echo "nice and policy $(cut -d' ' -f19,41 /proc/self/stat)"
echo "input and output $(ionice -p 1)"
echo "personality $(cat /proc/self/personality)"
echo "memory $(sed -n '1s/^[^ ]* \([^ ]*\).*/\1/p' /proc/self/numa_maps)"
echo "oom $(cat /proc/self/oom_score_adj)"
echo "descriptors $(ls /proc/1/fd | tr '\n' ' ')"
echo "directory $PWD"
stat -c '%n %a %u %g' / /etc /etc/hosts /etc/hostname /etc/resolv.conf /dev /dev/shm /dev/termination-log /tmp /bin /scratch /settings /settings/..data /settings/key
env | grep -v -e ^KUBERNETES_ -e ^PWD= | sort
`

const starterPods = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {key: value}
---
apiVersion: v1
kind: Pod
metadata: {name: report}
spec:
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: scratch, mountPath: /scratch}, {name: settings, mountPath: /settings}]
  volumes: [{name: scratch, emptyDir: {}}, {name: settings, configMap: {name: settings}}]
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: main, image: nginx}]
`

// reportOf is what a container of the system says of its process and its files.
func (s *system) reportOf(t testing.TB, ns string) string {
	t.Helper()
	s.apply(t, ns, starterPods)
	s.running(t, ns, "report", "web")
	cmd := s.command(t, "kubectl", "exec", "-i", "-n", ns, "report", "--", "sh")
	cmd.Stdin = strings.NewReader(starterReport + "\ncat /proc/1/limits\ngrep -E '^(Sig(Blk|Ign)|Cpus_allowed|Cap|Gid|Groups)' /proc/1/status\ncut -d' ' -f19,41 /proc/1/stat\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestNothingOfTheStarterReachesContainers compares a container of a system that was
// started under hostile conditions with one of a system that was started plainly, and
// lets a web server whose workers have no rights serve its files.
func TestNothingOfTheStarterReachesContainers(t *testing.T) {
	t.Parallel()
	s := prepared(t)
	s.Through = []string{"bash", "-c", hostileStarter, filepath.Join(t.TempDir(), "starter")}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.ImportImages(imageDir); err != nil {
		t.Fatal(err)
	}
	want := strings.Split(shared.reportOf(t, shared.namespace(t)), "\n")
	ns := s.namespace(t)
	got := strings.Split(s.reportOf(t, ns), "\n")
	if len(got) != len(want) {
		t.Errorf("%d lines, of the system that was started plainly %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s\nof the system that was started plainly:\n%s", got[i], want[i])
		}
	}
	s.servesItsPage(t, s.field(t, ns, "pod/web", "{.status.podIP}"))
	s.holdNothing(t, "/starter/held")
}

// servesItsPage asks a pod's web server for the page that its image has.
func (s *system) servesItsPage(t testing.TB, ip string) {
	t.Helper()
	answer, err := http.Get("http://" + ip + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Errorf("the web server answers %s: %s", answer.Status, body)
	}
}

// holdNothing fails when a process but laterna itself has a file open that its starter
// had opened.
func (s *system) holdNothing(t testing.TB, suffix string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || !strings.HasSuffix(target, suffix) {
			continue
		}
		if own++; !strings.HasPrefix(link, fmt.Sprintf("/proc/%d/", s.PID())) {
			t.Errorf("%s is a descriptor of the starter", link)
		}
	}
	if own == 0 {
		t.Error("laterna has no descriptor of its starter; that none has them shows nothing")
	}
}
