package script

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	systems "laterna.dev/laterna/test/system"
)

var (
	update = flag.Bool("update", false, "rewrite the expectations in the scripts")
	// programs are what TestMain has built.
	programs systems.Programs
	// shared is a system without a node for scripts that do not stop it.
	shared *systems.System
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	defer func() {
		if err := tearDown(); err != nil {
			fmt.Fprintln(os.Stderr, "tearing down:", err)
			code = 1
		}
	}()
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "setting up:", err)
		return 1
	}
	return m.Run()
}

func setUp() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the scripts start containerd and other users' processes and must run as root")
	}
	if programs, err = systems.Build("../.."); err != nil {
		return err
	}
	// Scripts run the program as another user, too.
	if err := os.Chmod(string(programs), 0o755); err != nil {
		return err
	}
	if shared, err = systems.New(programs, "--node=false", "--test-clock"); err != nil {
		return err
	}
	return shared.Start()
}

func tearDown() error {
	var err error
	if shared != nil {
		err = shared.Remove()
	}
	return errors.Join(err, os.RemoveAll(string(programs)))
}

func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               prepare,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refuses":  refuses,
			"exits":    exits,
			"jwt":      jwt,
			"await":    await,
			"nobodies": nobodies,
		},
	})
}
