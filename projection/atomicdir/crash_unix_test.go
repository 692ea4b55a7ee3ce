//go:build !windows

package atomicdir

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const childDir = "ATOMICDIR_TEST_CHILD"

// TestMain lets the test binary run itself as the writer that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
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
