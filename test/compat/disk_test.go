package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	systems "laterna.dev/laterna/test/system"
)

// onDisk returns a system, not started, whose data directory is on a disk of its own of
// 600 MiB, which mkfs.ext4 makes with options.
func onDisk(t *testing.T, options ...string) (s *system, disk string) {
	t.Helper()
	sys, err := systems.New(programs)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Dir(sys.Dir)
	image, disk := filepath.Join(base, "image"), filepath.Join(base, "disk")
	must := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	must("truncate", "-s", "600M", image)
	must("mkfs.ext4", append([]string{"-q", image}, options...)...)
	must("mount", "-o", "loop", image, disk)
	sys.Dir = filepath.Join(disk, "data")
	s = &system{sys}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of laterna:\n%s", tail(sys.Log(), 40))
		}
		if out, err := exec.Command(programs.Path("laterna"), "down", "--purge", "--grace-period=0s", "--data-dir", sys.Dir).CombinedOutput(); err != nil {
			t.Errorf("laterna down: %v: %s", err, out)
		}
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return s, disk
}

// begin starts the system, with busybox.
func (s *system) begin(t *testing.T) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.sh(t, `laterna image import --data-dir "$LATERNA_DATA_DIR" `+filepath.Join(imageDir, "busybox-1.28.tar"))
}

func statfs(t *testing.T, dir string) unix.Statfs_t {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// roomy waits until a disk has most of its bytes and inodes again.
func roomy(t *testing.T, disk string) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		if st := statfs(t, disk); st.Bavail < st.Blocks/2 || st.Ffree < st.Files/2 {
			return fmt.Errorf("%d of %d blocks and %d of %d inodes are free", st.Bavail, st.Blocks, st.Ffree, st.Files)
		}
		return nil
	})
}

// evicted waits until a pod is, and returns why.
func (s *system) evicted(t *testing.T, pod string) string {
	t.Helper()
	var why string
	eventually(t, 60*time.Second, func() error {
		why = s.sh(t, "kubectl get pod "+pod+" -o jsonpath='{.status.phase} {.status.reason}: {.status.message}'")
		if !strings.HasPrefix(why, "Failed Evicted: ") {
			return fmt.Errorf("%s is %q", pod, why)
		}
		return nil
	})
	return why
}

// onFullDisk is a pod that runs a command, with an emptyDir at /e.
func onFullDisk(name, restart, command string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: %s
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, %q]
    volumeMounts: [{name: e, mountPath: /e}]
  volumes: [{name: e, emptyDir: {}}]
`, name, restart, command)
}

// writes makes many objects, more than fit into the database before it grows.
func (s *system) writes(t *testing.T, name string) {
	t.Helper()
	s.sh(t, `head -c 400000 /dev/zero | tr '\0' x > "$HOME/big"; for i in 1 2 3 4 5 6 7 8; do kubectl create configmap `+name+`-$i --from-file="$HOME/big" >/dev/null || exit 1; done`)
}

const (
	forEver   = "while :; do sleep 1; done"
	fillLayer = "while :; do cat /dev/zero >> /fill || sleep 0.05; done"
	fillEmpty = "while :; do cat /dev/zero >> /e/fill || sleep 0.05; done"
	fillFiles = "i=0; while :; do i=$((i+1)); : > /f$i || sleep 0.05; done"
)

func TestPodThatFillsTheDiskIsEvictedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	s, disk := onDisk(t)
	s.begin(t)
	s.apply(t, "default", onFullDisk("bystander", "Always", forEver))
	s.running(t, "default", "bystander")
	for name, command := range map[string]string{"layer": fillLayer, "volume": fillEmpty} {
		s.apply(t, "default", onFullDisk(name, "Always", command))
		s.writes(t, name)
		why := s.evicted(t, name)
		contains(t, why, "The node was low on resource: ephemeral-storage. Threshold quantity: ")
		if name == "layer" {
			contains(t, why, "Container c was using ", "request is 0, has larger consumption of ephemeral-storage. ")
		}
		roomy(t, disk)
	}
	// A container that ends when it has filled the disk: what it wrote goes, nothing else.
	s.apply(t, "default", onFullDisk("ended", "Never", "cat /dev/zero > /fill; true"))
	eventually(t, 30*time.Second, func() error {
		if phase := s.sh(t, "kubectl get pod ended -o jsonpath='{.status.phase}'"); phase != "Succeeded" && phase != "Failed" {
			return fmt.Errorf("the pod is %s", phase)
		}
		return nil
	})
	roomy(t, disk)
	if restarts := s.sh(t, "kubectl get pod bystander -o jsonpath='{.status.phase} {.status.containerStatuses[0].restartCount}'"); restarts != "Running 0" {
		t.Errorf("the other pod: %s", restarts)
	}
	select {
	case <-s.Exited():
		t.Error("laterna has ended")
	default:
	}
}

func TestDiskThatOthersHaveFilledKeepsTheSystemAliveAndIsTold(t *testing.T) {
	t.Parallel()
	s, disk := onDisk(t)
	s.begin(t)
	s.apply(t, "default", onFullDisk("bystander", "Always", forEver))
	s.running(t, "default", "bystander")
	foreign := filepath.Join(disk, "foreign")
	s.sh(t, "cat /dev/zero > "+foreign+" 2>/dev/null || true")
	s.writes(t, "full")
	eventually(t, 30*time.Second, func() error {
		if taints := s.sh(t, "kubectl get nodes -o jsonpath='{.items[0].spec.taints}'"); !strings.Contains(taints, "node.kubernetes.io/disk-pressure") {
			return fmt.Errorf("taints %s", taints)
		}
		return nil
	})
	s.sh(t, "cat /dev/zero >> "+foreign+" 2>/dev/null || true") // what the reserve has given
	contains(t, s.sh(t, `laterna status --data-dir "$LATERNA_DATA_DIR"`), "Disk is full:")
	contains(t, s.fails(t, `laterna doctor --data-dir "$LATERNA_DATA_DIR"`), "FAIL     data directory", "the disk is full", "mend: remove files there")
	s.apply(t, "default", onFullDisk("later", "Always", forEver))
	s.apply(t, "default", strings.Replace(onFullDisk("named", "Always", forEver), "spec:\n", "spec:\n  nodeName: "+s.sh(t, "kubectl get nodes -o jsonpath='{.items[0].metadata.name}'")+"\n", 1))
	contains(t, s.evicted(t, "named"), "The node had condition: [DiskPressure]. ")
	if phase := s.sh(t, "kubectl get pod bystander later -o jsonpath='{.items[*].status.phase}'"); phase != "Running Pending" {
		t.Errorf("with a full disk: %s", phase)
	}

	// It is killed and started again on the full disk, or says what to do; nothing is lost.
	s.Kill()
	if err := s.Start(); err != nil {
		contains(t, err.Error(), "no space left on device", "make room on the file system of")
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	s.sh(t, `laterna down --data-dir "$LATERNA_DATA_DIR"`)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if got := s.sh(t, "kubectl get configmap -o name | grep -c full-"); got != "8\n" {
		t.Errorf("%s objects of 8 that were acknowledged", got)
	}
	s.running(t, "default", "bystander", "later")
	eventually(t, 10*time.Second, func() error { _, err := os.Stat(filepath.Join(s.Dir, "reserve", "bytes")); return err })
}

func TestDownAndUpAreAWayBackFromADiskThatPodsFilledMeanwhile(t *testing.T) {
	t.Parallel()
	s, disk := onDisk(t)
	s.begin(t)
	s.writes(t, "kept")
	for name, command := range map[string]string{"layer": fillLayer, "volume": fillEmpty} {
		s.apply(t, "default", onFullDisk(name, "Always", "sleep 2; "+command))
		s.running(t, "default", name)
		s.Kill()
		eventually(t, 30*time.Second, func() error {
			if st := statfs(t, disk); st.Bavail > 0 {
				return fmt.Errorf("%d blocks are free", st.Bavail)
			}
			return nil
		})
		if name == "volume" {
			if err := s.Start(); err != nil { // at once, while the pod goes on
				t.Fatal(err)
			}
		} else {
			contains(t, s.sh(t, `laterna down --data-dir "$LATERNA_DATA_DIR"`), "stopped; the data stays")
			roomy(t, disk)
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}
		s.evicted(t, name)
		roomy(t, disk)
	}
	if got := s.sh(t, "kubectl get configmap -o name | grep -c kept-"); got != "8\n" {
		t.Errorf("%s objects of 8 that were acknowledged", got)
	}
}

func TestRestartsWorkAfterInodesHaveRunOut(t *testing.T) {
	t.Parallel()
	s, disk := onDisk(t, "-N", "1500")
	s.begin(t)
	s.apply(t, "default", onFullDisk("restarts", "Always", "while ! test -e /e/stop; do sleep 0.1; done; rm /e/stop; exit 1"))
	s.running(t, "default", "restarts")
	s.apply(t, "default", onFullDisk("files", "Always", fillFiles))
	contains(t, s.evicted(t, "files"), "The node was low on resource: inodes. Threshold quantity: ", "has larger consumption of inodes. ")
	roomy(t, disk)

	foreign := filepath.Join(disk, "foreign")
	s.sh(t, "mkdir "+foreign+" && cd "+foreign+" && for i in $(seq 2000); do : > $i || break; done 2>/dev/null")
	eventually(t, 30*time.Second, func() error {
		pressure := s.sh(t, `kubectl get nodes -o jsonpath='{.items[0].status.conditions[?(@.type=="DiskPressure")].status}'`)
		if pressure != "True" {
			return fmt.Errorf("DiskPressure is %s", pressure)
		}
		return nil
	})
	// The reserve has given enough for a restart of a container, and of laterna.
	eventually(t, 10*time.Second, func() error {
		if st := statfs(t, disk); st.Ffree < 50 {
			return fmt.Errorf("%d inodes are free", st.Ffree)
		}
		return nil
	})
	s.sh(t, "kubectl exec restarts -- touch /e/stop")
	eventually(t, 60*time.Second, func() error {
		got := s.sh(t, "kubectl get pod restarts -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state}'")
		if !strings.HasPrefix(got, "1 ") || !strings.Contains(got, "running") {
			return fmt.Errorf("the container: %s", got)
		}
		return nil
	})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	// Of the last ones, too: now it is told.
	s.sh(t, "cd "+foreign+" && for i in $(seq 2001 4000); do : > $i || break; done 2>/dev/null")
	contains(t, s.sh(t, `laterna status --data-dir "$LATERNA_DATA_DIR"`), "Disk is full:", "only 0 more files can be made there (inodes)")
	contains(t, s.fails(t, `laterna doctor --data-dir "$LATERNA_DATA_DIR"`), "only 0 more files can be made there (inodes)")
	if err := os.RemoveAll(foreign); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error { _, err := os.Stat(filepath.Join(s.Dir, "reserve", "0")); return err })
}

func TestPodsReachTheAPIAgainAfterTheirBridgeWasRemoved(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.apply(t, "default", strings.Replace(fmt.Sprintf(sleeper, "old"), "busybox:1.28", "tutum/curl", 1))
	s.running(t, "default", "old")
	const ask = `kubectl exec old -- sh -c 'curl -sS -m 5 --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt https://$KUBERNETES_SERVICE_HOST/version' 2>&1 || true`
	contains(t, s.sh(t, ask), "gitVersion")
	bridges, err := filepath.Glob("/run/laterna/*/cni/leases/lt-*")
	if err != nil {
		t.Fatal(err)
	}
	address := s.sh(t, "kubectl get pod old -o jsonpath='{.status.podIP}'")
	var bridge string
	for _, dir := range bridges {
		if _, err := os.Stat(filepath.Join(dir, address)); err == nil {
			bridge = filepath.Base(dir)
		}
	}
	s.sh(t, "ip link del "+bridge)
	eventually(t, 20*time.Second, func() error {
		if got := s.sh(t, ask); !strings.Contains(got, "gitVersion") {
			return fmt.Errorf("the old pod hears %q", got)
		}
		return nil
	})
	contains(t, s.Log(), "somebody else has changed the bridge of the pods, which is repaired")
	// And a pod that comes now is beside it.
	s.apply(t, "default", fmt.Sprintf(sleeper, "new"))
	s.running(t, "default", "new")
	s.sh(t, "kubectl exec new -- ping -c 1 -W 5 "+address)
}
