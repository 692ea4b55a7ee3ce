package etcd_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// killDir tells the test binary to be the process that is killed.
const killDir = "LATERNA_TEST_KILL_DIR"

// TestKilledServerKeepsWhatItAcknowledged kills a process that writes as fast as
// it can, several times over, and reads its last acknowledged write afterwards.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		writeForever(t, dir)
	}
	dir := t.TempDir()
	for round := range 5 {
		acknowledged := killWriter(t, dir, 20+7*round)
		s, e := start(t, dir)
		client, err := e.NewClient(slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Get(t.Context(), "count")
		if err != nil || len(got.Kvs) != 1 {
			t.Fatalf("round %d: %v, %v", round, got, err)
		}
		if n, err := strconv.Atoi(string(got.Kvs[0].Value)); err != nil || n < acknowledged {
			t.Errorf("round %d: stored %s, acknowledged %d", round, got.Kvs[0].Value, acknowledged)
		}
		client.Close()
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// killWriter runs a writer, kills it after a number of acknowledged writes, and
// returns the last one.
func killWriter(t *testing.T, dir string, writes int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	tmp, err := os.MkdirTemp("", "kill") // a killed process does not clean up
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	cmd.Env = append(os.Environ(), killDir+"="+dir, "TMPDIR="+tmp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			continue
		}
		if last = n; writes == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		writes--
	}
	if err := cmd.Wait(); err == nil || writes >= 0 {
		t.Fatalf("writer ended by itself after %d: %v", last, err)
	}
	return last
}

func writeForever(t *testing.T, dir string) {
	_, e := start(t, dir)
	client, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if _, err := client.Put(t.Context(), "count", strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
		fmt.Println(n)
	}
}
