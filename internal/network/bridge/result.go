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

// readResult reads what the CNI library remembers of one sandbox.
func readResult(file string) (result, error) {
	raw, err := bounded.File(file, maxResult)
	if err != nil {
		return result{}, err
	}
	var remembered struct{ Result result }
	if err := json.Unmarshal(raw, &remembered); err != nil {
		return result{}, fmt.Errorf("%s: %w", file, err)
	}
	return remembered.Result, nil
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
	known map[string]result
}

// all returns what is remembered now, by file. What cannot be read, or not yet, is left
// out.
func (r *results) all() map[string]result {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := map[string]result{}
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
