package onupdate

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// memoryFile is the file in a pod's directory that says what was done.
const memoryFile = "on-update.json"

// mostMemory is how large the file may be, in bytes: far more than the rules of a pod,
// which are annotations, can lead to.
const mostMemory = 16 << 20

// memory is what must outlive the agent.
type memory struct {
	// Volumes has, by volume, how far its actions are.
	Volumes map[string]progress `json:"volumes,omitempty"`
	// Restarting has, by container, the ID of the one that is to be replaced.
	Restarting map[string]string `json:"restarting,omitempty"`
	Outcomes   []Outcome         `json:"outcomes,omitempty"`
}

// progress is the newest update of a volume and which rules are to be run for it yet.
type progress struct {
	Generation string   `json:"generation"`
	Pending    []string `json:"pending,omitempty"`
}

// load reads the memory of a pod; what is missing or broken is empty.
func (r *Runner) load(uid types.UID) (m memory) {
	root, err := os.OpenRoot(r.cfg.PodDir(uid))
	if err == nil {
		defer root.Close()
		var data []byte
		if data, err = bounded.Below(root, memoryFile, mostMemory); err == nil {
			err = json.Unmarshal(data, &m)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.cfg.Log.Warn("reading what was done on updates of a pod failed", "uid", uid, "error", err)
		return memory{}
	}
	return m
}

// save replaces a pod's memory. A pod whose directory is gone needs none. It does not wait
// for the disk: a power cut ends the containers that the memory is about.
func save(dir string, m memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return replace.UnsyncedBelow(root, memoryFile, data, 0o600)
}
