package seccomp_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/node/seccomp"
)

const valid = `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
"syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}],
"comment": "more than the specification knows"}`

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestProfileIsLaidDownOutOfReach(t *testing.T) {
	dir, pod := seccomp.Dir(t.TempDir()), t.TempDir()
	put(t, filepath.Join(dir, "profiles/valid.json"), valid)
	if err := os.Symlink("profiles/valid.json", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	path, err := seccomp.Place(dir, "profiles/valid.json", pod)
	if err != nil || !strings.HasPrefix(path, pod+"/") {
		t.Fatalf("%q, %v", path, err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got, _ := os.ReadFile(path); string(got) != valid {
		t.Errorf("%s", got)
	}
	if again, err := seccomp.Place(dir, "link", pod); again != path || err != nil {
		t.Errorf("the same by a link within: %q, %v", again, err)
	}
	// A change makes another file: what a runtime was told of stays as it was.
	put(t, filepath.Join(dir, "profiles/valid.json"), valid+"\n")
	if next, err := seccomp.Place(dir, "profiles/valid.json", pod); next == path || err != nil {
		t.Errorf("after a change: %q, %v", next, err)
	}
	// What somebody put in a copy's place is not handed on.
	if err := errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "profiles/valid.json"), valid)
	if _, err := seccomp.Place(dir, "link", pod); err != nil {
		t.Error(err)
	}
	if got, err := os.Readlink(path); err == nil {
		t.Errorf("the copy is a link to %s", got)
	}
}

func TestProfileIsRefused(t *testing.T) {
	const secret = "root:x:0:0:hunter2"
	top, pod := t.TempDir(), t.TempDir()
	dir := seccomp.Dir(top)
	put(t, filepath.Join(dir, "sub/valid.json"), valid)
	put(t, filepath.Join(top, "outside.json"), valid)
	for name, content := range map[string]string{
		"empty": "", "passwd": secret, "list": "[]", "object": "{}", "two": valid + valid,
		"action":       `{"defaultAction": "` + secret + `"}`,
		"type":         `{"defaultAction": {"` + secret + `": 1}}`,
		"call":         `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["` + secret + `"], "action": "SCMP_ACT_ERRNO"}]}`,
		"call action":  `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "` + secret + `"}]}`,
		"operator":     `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"op": "` + secret + `"}]}]}`,
		"architecture": `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["` + secret + `"]}`,
		"flag":         `{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["` + secret + `"]}`,
		"huge":         strings.Repeat(" ", seccomp.MaxProfile) + valid,
	} {
		put(t, filepath.Join(dir, name), content)
	}
	for name, to := range map[string]string{"up": "../outside.json", "absolute": filepath.Join(top, "outside.json"), "device": "/dev/zero", "parent": "..", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600), unix.Mknod(filepath.Join(dir, "zero"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))); err != nil {
		t.Fatal(err)
	}
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sparse.Truncate(1<<40), sparse.Close()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"dev/zero": "no such file below", "etc/passwd": "no such file below", "none": "no such file below", "": "no such file below",
		"../outside.json": "leads out", "/etc/passwd": "leads out", "up": "leads out", "absolute": "leads out", "device": "leads out", "parent/outside.json": "leads out", "loop": "leads out",
		"pipe": "not a regular file", "zero": "not a regular file", "sub": "not a regular file", ".": "not a regular file",
		"huge": "more than 1048576 bytes", "sparse": "more than 1048576 bytes",
		"empty": "not JSON", "passwd": "not JSON", "list": "not JSON", "type": "not JSON", "two": "not JSON", "object": "no defaultAction", "action": "its defaultAction is unknown",
		"call": "cannot be a system call", "call action": "unknown action", "operator": "operator", "architecture": "architecture", "flag": "unknown flag",
		strings.Repeat("x", 5000): "file name too long",
	} {
		path, err := seccomp.Place(dir, name, pod)
		if err == nil || path != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %q, %v; want %s", name, path, err, want)
			continue
		}
		if text := err.Error(); strings.Contains(text, "hunter2") || strings.Contains(text, "root:") || len(text) > 800 {
			t.Errorf("%.20q: %s", name, text)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(pod, "seccomp")); len(left) != 0 {
		t.Errorf("laid down: %v", left)
	}
}
