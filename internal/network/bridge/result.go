package bridge

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"

	"laterna.dev/laterna/internal/bounded"
)

// maxResult bounds what the CNI library remembers of one pod, in bytes: it has the pod's
// annotations in it, quoted.
const maxResult = 8 << 20

// result is what the bridge plugin answered for one sandbox.
type result struct {
	// Interfaces are the bridge, the links of this machine, and those in the sandbox.
	Interfaces []struct{ Name, MAC, Sandbox string }
	// IPs name their interface by its place among Interfaces.
	IPs []struct {
		Address   string
		Interface int
	}
}

// connection is how one sandbox is connected: what the plugin answered, and what the
// runtime asked for besides.
type connection struct {
	result
	// Sandbox is the runtime's name of it.
	Sandbox string
	// Ports are those of the machine that are to lead to it.
	Ports []PortMapping
}

// PortMapping is a port of the machine that leads to one of a pod, in the words of the
// runtime (the capability portMappings of CNI).
type PortMapping struct {
	HostPort, ContainerPort int32
	Protocol, HostIP        string
}

// readResult reads what the CNI library remembers of one sandbox.
func readResult(file string) (connection, error) {
	raw, err := bounded.File(file, maxResult)
	if err != nil {
		return connection{}, err
	}
	var remembered struct {
		ContainerID    string
		CapabilityArgs struct{ PortMappings []PortMapping }
		Result         result
	}
	if err := json.Unmarshal(raw, &remembered); err != nil {
		return connection{}, fmt.Errorf("%s: %w", file, err)
	}
	return connection{remembered.Result, remembered.ContainerID, remembered.CapabilityArgs.PortMappings}, nil
}

// resultFiles returns the files that the CNI library has of sandboxes on a bridge.
func resultFiles(bridge string) []string {
	files, _ := filepath.Glob(filepath.Join(cacheDir, bridge+"-*")) // which fails for bad patterns only
	return files
}

// results are what the CNI library remembers of one bridge, each read once: a result is
// written once. They may be used concurrently.
type results struct {
	bridge string

	mu    sync.Mutex
	known map[string]connection
}

// all returns what is remembered now, by file. What cannot be read, or not yet, is left
// out.
func (r *results) all() map[string]connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := map[string]connection{}
	for _, file := range resultFiles(r.bridge) {
		one, ok := r.known[file]
		if !ok {
			var err error
			if one, err = readResult(file); err != nil {
				continue
			}
		}
		now[file] = one
	}
	r.known = now
	return now
}
