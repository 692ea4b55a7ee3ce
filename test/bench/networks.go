package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/datadir"
)

// podNetworks are the paths of pods' network namespaces, by the names of the pods: the CNI
// library remembers them.
func podNetworks(dir string) (map[string]string, error) {
	d, err := datadir.Locate(dir)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob("/var/lib/cni/results/" + d.Bridge() + "-*")
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, file := range files {
		var remembered struct {
			Args   [][2]string `json:"cniArgs"`
			Result struct{ Interfaces []struct{ Sandbox string } }
		}
		raw, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(raw, &remembered)
		}
		if err != nil {
			return nil, err
		}
		for _, arg := range remembered.Args {
			for _, i := range remembered.Result.Interfaces {
				if arg[0] == "K8S_POD_NAME" && i.Sandbox != "" {
					paths[arg[1]] = i.Sandbox
				}
			}
		}
	}
	return paths, nil
}

// within runs what makes sockets on a thread that is in a network namespace, and that ends
// with it.
func within(path string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		ns, err := os.Open(path)
		if err == nil {
			defer ns.Close()
			err = os.NewSyscallError("setns", unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET))
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}
