package bridge

import (
	"encoding/json"
	"fmt"

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
