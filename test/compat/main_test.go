package compat

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	systems "laterna.dev/laterna/test/system"
)

var (
	// programs are what TestMain has built.
	programs systems.Programs
	// shared is the system of tests that do not stop or configure it.
	shared *system
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

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

// setUp builds the programs and starts the shared system with the test images.
func setUp() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the acceptance tests start containers and must run as root")
	}
	if programs, err = systems.Build("../.."); err != nil {
		return err
	}
	sys, err := systems.New(programs, "--test-clock", "--api-audiences", "https://kubernetes.default.svc,api")
	if err != nil {
		return err
	}
	shared = &system{sys}
	if err := shared.Start(); err != nil {
		return err
	}
	return shared.ImportImages(imageDir)
}

// tearDown removes the shared system and tells what it left mounted.
func tearDown() error {
	var err error
	if shared != nil {
		err = shared.Remove()
		if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), shared.Dir) {
			err = errors.Join(err, fmt.Errorf("mounts are left below %s", shared.Dir))
		}
	}
	return errors.Join(err, os.RemoveAll(string(programs)))
}
