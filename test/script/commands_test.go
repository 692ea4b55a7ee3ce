package script

import (
	"encoding/base64"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// nobody is a user without rights.
const nobody = 65534

// prepare gives every script the programs, an address of its own, and the shared
// system as $SHARED. A system that a script starts on $WORK/data is removed.
func prepare(env *testscript.Env) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	env.Setenv("PATH", string(programs)+":"+env.Getenv("PATH")+":/usr/sbin:/sbin")
	env.Setenv("LISTEN", l.Addr().String())
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	env.Setenv("ROOT", root)
	env.Setenv("PROGRAMS", string(programs))
	env.Setenv("SHARED", shared.Dir)
	env.Setenv("SHARED_LISTEN", shared.Listen)
	// No script may touch a system that somebody runs on this machine.
	env.Setenv("HOME", env.WorkDir)
	data := filepath.Join(env.WorkDir, "data")
	env.Defer(func() {
		if _, err := os.Stat(data); err != nil {
			return
		}
		down := exec.Command(programs.Path("laterna"), "down", "--purge", "--grace-period=0s", "--data-dir", data)
		if out, err := down.CombinedOutput(); err != nil && !strings.Contains(string(out), "not a data directory") {
			env.T().Log("removing the script's system: ", string(out))
		}
	})
	return nil
}

// refuses runs a command that must end with exit code 1, print nothing on standard
// output, and say why on standard error: in lines that begin with the program's name
// once and do not stutter.
func refuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refuses PROGRAM ARGUMENTS…")
	}
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		ts.Fatalf("%v ended with %v, want exit code 1", args, err)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("standard output of a refusal: %q", out)
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	for _, line := range lines {
		said, ok := strings.CutPrefix(line, "laterna: ")
		if !ok || strings.HasPrefix(said, "laterna: ") || stutters(said) {
			ts.Fatalf("line of a refusal: %q", line)
		}
	}
}

// exits runs a command that must end with the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENTS…")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		code = strconv.Itoa(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("%v ended with exit code %s, want %s", args[1:], code, args[0])
	}
}

// jwt writes a token that nobody has signed, as it was thought of.
func jwt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: jwt FILE HEADER CLAIMS")
	}
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(args[1])) + "." + encode([]byte(args[2])) + "." + encode([]byte("not a signature"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(token), 0o600))
}

// stutters tells whether two neighbouring parts of an error's path are the same.
func stutters(message string) bool {
	parts := strings.Split(message, ": ")
	for i := 1; i < len(parts); i++ {
		if parts[i] == parts[i-1] {
			return true
		}
	}
	return false
}

// await waits until a file holds a match.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	want := regexp.MustCompile("(?m)" + args[1])
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if raw, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && want.Match(raw) {
			return
		}
	}
	ts.Fatalf("%s holds no match of %s: %s", args[0], args[1], ts.ReadFile(args[0]))
}

// nobodies makes a directory that belongs to the user nobody and stands where that
// user can reach it, and puts its path into a variable.
func nobodies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nobodies VARIABLE")
	}
	dir, err := os.MkdirTemp("", "laterna-nobody-")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	ts.Check(os.Chown(dir, nobody, nobody))
	ts.Setenv(args[0], dir)
}
