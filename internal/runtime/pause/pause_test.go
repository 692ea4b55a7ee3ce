package pause_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"laterna.dev/laterna/internal/runtime/pause"
)

func TestProgramsAreSmallStaticELF(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program, err := pause.Program(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if f.Machine != machine || f.Type != elf.ET_EXEC || len(f.Progs) != 1 {
			t.Errorf("%s: machine %v, type %v, %d segments", arch, f.Machine, f.Type, len(f.Progs))
		}
		if len(program) > 512 {
			t.Errorf("%s: %d bytes, want at most 512", arch, len(program))
		}
		set := program[len(program)-8:]
		if want := []byte{0x02, 0x40, 0x01, 0, 0, 0, 0, 0}; !bytes.Equal(set, want) {
			t.Errorf("%s: signal set % x, want % x", arch, set, want)
		}
	}
	if _, err := pause.Program("riscv64"); err == nil {
		t.Error("an unknown architecture gives a program")
	}
}

// The arm64 code cannot run on every machine that tests run on; its two addresses
// and three branches are checked by arithmetic instead.
func TestARM64AddressesPointAtTargets(t *testing.T) {
	program, err := pause.Program("arm64")
	if err != nil {
		t.Fatal(err)
	}
	code := program[120:]
	word := func(i int) uint32 {
		return uint32(code[4*i]) | uint32(code[4*i+1])<<8 | uint32(code[4*i+2])<<16 | uint32(code[4*i+3])<<24
	}
	const start, reap, sleep, set = 0, 6, 14, 26
	adr := func(i int) int { return i + int(int32(word(i)<<8)>>13) } // immhi, in words as immlo is 0
	for _, i := range []int{start + 1, sleep} {
		if got := adr(i); got != set {
			t.Errorf("adr at word %d points at word %d, want %d", i, got, set)
		}
	}
	branch19 := func(i int) int { return i + int(int32(word(i)<<8)>>13) }
	if got := branch19(13); got != reap {
		t.Errorf("b.gt goes to word %d, want %d", got, reap)
	}
	if got := branch19(21); got != reap {
		t.Errorf("b.eq goes to word %d, want %d", got, reap)
	}
	if got := 22 + int(int32(word(22)<<13)>>18); got != sleep {
		t.Errorf("tbnz goes to word %d, want %d", got, sleep)
	}
}

func TestArchiveHoldsTheProgram(t *testing.T) {
	img, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	again, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	if img.Ref != again.Ref || !bytes.Equal(img.Archive, again.Archive) {
		t.Error("two runs make two images")
	}
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(img.Archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var index v1.Index
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Annotations[v1.AnnotationRefName] != img.Ref {
		t.Fatalf("index %s, want one image named %s", files["index.json"], img.Ref)
	}
	content := func(d digest.Digest) []byte {
		raw := files["blobs/sha256/"+d.Encoded()]
		if digest.FromBytes(raw) != d {
			t.Fatalf("blob %s has other content", d)
		}
		return raw
	}
	named := index.Manifests[0].Digest
	if img.Ref != "laterna.dev/pause@"+named.String() {
		t.Errorf("the name %s is not that of the content %s", img.Ref, named)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(content(named), &manifest); err != nil {
		t.Fatal(err)
	}
	content(manifest.Config.Digest)
	layer := tar.NewReader(bytes.NewReader(content(manifest.Layers[0].Digest)))
	if h, err := layer.Next(); err != nil || h.Name != "pause" || h.Mode != 0o755 {
		t.Errorf("layer begins with %+v, %v", h, err)
	}
}

// start runs the program as process 1 of a pid namespace of its own and waits until
// it sleeps: a signal that comes before it blocks signals is lost on process 1.
func start(t *testing.T) *exec.Cmd {
	t.Helper()
	program, err := pause.Program(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting as process 1 (needs root): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(5 * time.Second); stateOf(t, cmd.Process.Pid) != "S"; {
		if time.Now().After(deadline) {
			t.Fatal("does not sleep 5 s after its start")
		}
		time.Sleep(time.Millisecond)
	}
	return cmd
}

func TestEndsOnSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := start(t)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("on %v: %v, want exit code 0", sig, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("still there 5 s after %v", sig)
		}
	}
}

func TestStaysOnOtherSignals(t *testing.T) {
	cmd := start(t)
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGCHLD} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond)
	if state := stateOf(t, cmd.Process.Pid); state != "S" {
		t.Errorf("state %s after foreign signals, want S (sleeping)", state)
	}
}

func TestReapsOrphans(t *testing.T) {
	cmd := start(t)
	const orphans = 50
	// Each inner shell ends before its child does, so the child's parent becomes
	// process 1 of the namespace: the program under test.
	script := "i=0; while [ $i -lt " + strconv.Itoa(orphans) + " ]; do (sleep 0.2 >/dev/null 2>&1 & ) ; i=$((i+1)); done"
	pid := strconv.Itoa(cmd.Process.Pid)
	out, err := exec.Command("nsenter", "-t", pid, "-p", "--", "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("making orphans: %v: %s", err, out)
	}
	if n := len(children(t, pid)); n == 0 {
		t.Fatal("no orphan was handed to the program; the test shows nothing")
	}
	deadline := time.Now().Add(5 * time.Second)
	for len(children(t, pid)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("children left after 5 s: %v", children(t, pid))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if state := stateOf(t, cmd.Process.Pid); state != "S" {
		t.Errorf("state %s after reaping, want S (sleeping, not spinning)", state)
	}
}

func children(t *testing.T, pid string) []string {
	t.Helper()
	raw, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(raw))
}

func stateOf(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))[0]
}
