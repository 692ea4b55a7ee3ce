package resize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/replace"
)

const (
	// directory has the records, below the data directory.
	directory = "allocations"
	suffix    = ".json"
	// maxRecord bounds the file of a record, in bytes. The API bounds a pod to less.
	maxRecord = 2 << 20
)

// record is what outlives the agent of a pod.
type record struct {
	// Allocated is what the node gives the pod.
	Allocated Amounts `json:"allocated"`
	// Actuated is what its containers have, each once it was started.
	Actuated Amounts `json:"actuated"`
	// Group are the limits that the control group of the pod has, nil when that is not known.
	Group *cgroups.Limits `json:"group,omitempty"`
	// Restarting are containers that are being replaced, their IDs by name: one that was
	// stopped is to be started again, however it has ended and whatever its pod's policy.
	Restarting map[string]string `json:"restarting,omitempty"`
}

// read returns the record of a pod; its error is fs.ErrNotExist when there is none.
func (l *Ledger) read(uid types.UID) (record, error) {
	raw, err := bounded.Below(l.root, string(uid)+suffix, maxRecord)
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, fmt.Errorf("reading what pod %s is allocated: %w", uid, err)
	}
	if r.Allocated.Containers == nil || r.Actuated.Containers == nil {
		return record{}, fmt.Errorf("reading what pod %s is allocated: the record is not whole", uid)
	}
	return r, nil
}

// keep writes the record of a pod. It waits for no disk: after a power cut nothing of the
// pod runs, so that what is lost is not missed. What cannot be written is logged, and lost
// with this process.
func (l *Ledger) keep(uid types.UID, r record) {
	raw, err := json.Marshal(r)
	if err == nil {
		err = replace.UnsyncedBelow(l.root, string(uid)+suffix, raw, 0o600)
	}
	if err != nil {
		l.cfg.Log.Warn("what a pod is allocated is not on disk, a restart goes by its status", "uid", uid, "error", err)
	}
}

// Retain removes the records of all pods but those that are known.
func (l *Ledger) Retain(known func(types.UID) bool) {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		l.cfg.Log.Warn("records of allocations not listed", "error", err)
		return
	}
	for _, e := range entries {
		if uid, ok := strings.CutSuffix(e.Name(), suffix); ok && !strings.HasPrefix(uid, ".") && known(types.UID(uid)) {
			continue
		}
		if err := l.root.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.cfg.Log.Warn("record of an allocation not removed", "file", e.Name(), "error", err)
		}
	}
}
