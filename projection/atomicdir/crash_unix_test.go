//go:build !windows

package atomicdir

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	childDir  = "ATOMICDIR_TEST_CHILD"
	childWork = "ATOMICDIR_TEST_WORK"
	childStop = "ATOMICDIR_TEST_STOP"
)

// TestMain lets the test binary run itself as the writer that is killed.
func TestMain(m *testing.M) {
	switch dir := os.Getenv(childDir); {
	case dir != "" && os.Getenv(childWork) != "":
		killSelf(dir)
	case dir != "":
		writeForever(dir)
	}
	os.Exit(m.Run())
}

func writeForever(dir string) {
	d, err := Open(dir, Options{})
	for n := 0; err == nil; n++ {
		d.Purge() // never waits, so that a kill can hit any step
		_, err = d.TryPublish(faultTree(strconv.Itoa(os.Getpid()) + "." + strconv.Itoa(n)))
	}
	os.Stderr.WriteString(err.Error())
	os.Exit(1)
}

// killSelf does the work that it is told and kills its process at the given call.
func killSelf(dir string) {
	stop, err := strconv.Atoi(os.Getenv(childStop))
	if err == nil {
		var d *Dir
		d, err = open(dir, Options{}, func(string, string) error {
			if stop--; stop == -1 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		})
		if err == nil {
			err = works[os.Getenv(childWork)](d)
		}
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// TestKilledAtEveryCall kills a process at every one of its calls, for all of its
// work.
func TestKilledAtEveryCall(t *testing.T) {
	for work := range works {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			for stop := 0; ; stop++ {
				dir := showsOld(t)
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), childDir+"="+dir, childWork+"="+work, childStop+"="+strconv.Itoa(stop))
				out, err := cmd.CombinedOutput()
				if err == nil {
					if stop < 15 {
						t.Errorf("only %d calls", stop)
					}
					return
				}
				if cmd.ProcessState.ExitCode() != -1 {
					t.Fatalf("stop %d: the writer ended by itself: %v: %s", stop, err, out)
				}
				if version := readAll(t, dir); version != "old" && version != "new" {
					t.Errorf("stop %d: %q published", stop, version)
				}
				recovered(t, dir, stop)
			}
		})
	}
}

func rounds(short, long int) int {
	if os.Getenv("LATERNA_SOAK") != "" {
		return long
	}
	return short
}

func TestKilledWriters(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Publish(t.Context(), faultTree("first")); err != nil {
		t.Fatal(err)
	}
	first.Close()
	versions := map[string]bool{}
	for range rounds(20, 200) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Readlink(filepath.Join(dir, dataLink))
		for now, tries := before, 0; now == before && tries < 10000; tries++ {
			time.Sleep(time.Millisecond)
			now, _ = os.Readlink(filepath.Join(dir, dataLink))
		}
		time.Sleep(rand.N(10 * time.Millisecond)) // it is at work: hit it anywhere
		cmd.Process.Kill()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		versions[readAll(t, dir)] = true
	}
	if len(versions) != rounds(20, 200) {
		t.Errorf("the writers published in only %d rounds", len(versions))
	}
	d, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Publish(t.Context(), faultTree("last")); err != nil {
		t.Fatal(err)
	}
	tidy(t, d, dir, "last")
	if got, err := os.ReadFile(filepath.Join(dir, "both")); err != nil || string(got) != "last" {
		t.Errorf("both = %q, %v", got, err)
	}
}
