// Package seccomp gives container runtimes the seccomp profiles that pods name
// (spec.securityContext.seccompProfile of type Localhost).
//
// A runtime is told a path, which it reads as root and to the end. So it is never told
// the one that a pod wrote: the profile is read here, below the agent's own directory of
// profiles, looked at, and laid down in a file of ours that nobody else can change. It
// owns the directory of profiles and the form of a profile; which container has which
// profile is internal/node/runspec's to say.
package seccomp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
	"laterna.dev/laterna/internal/host/rootfd"
)

const (
	// MaxProfile is how large a profile may be, in bytes. The runtime's own, which
	// names every system call, has a seventieth of it.
	MaxProfile = 1 << 20
	// copies is the directory of a pod's profiles in the pod's directory.
	copies = "seccomp"
	// longestName is how much of a profile's name is shown.
	longestName = 256
)

// Dir is the directory of profiles of the agent with a data directory, as upstream's
// <kubelet root>/seccomp. Nothing makes it.
func Dir(dataDir string) string { return filepath.Join(dataDir, "seccomp") }

// Place reads the profile name below dir and returns the path of a copy in podDir,
// which must exist; the copy, 0600, goes with that directory. The name may go through
// links as long as they stay below dir and on its file system. What it leads to must be
// a regular file of at most MaxProfile bytes that holds a profile of the OCI runtime
// specification. Errors, which users see, tell nothing of what is in the file.
func Place(dir, name, podDir string) (string, error) {
	raw, err := read(dir, name)
	if err != nil {
		return "", fmt.Errorf("cannot load seccomp profile %q: %w", shown(name), err)
	}
	if err := check(raw); err != nil {
		return "", fmt.Errorf("decoding seccomp profile failed %q: %w", shown(name), err)
	}
	path, err := keep(podDir, raw)
	if err != nil {
		return "", fmt.Errorf("laying down seccomp profile %q: %w", shown(name), err)
	}
	return path, nil
}

func shown(name string) string { return name[:min(len(name), longestName)] }

// read says what went wrong without the place, which the message has already.
func read(dir, name string) ([]byte, error) {
	root, err := rootfd.Open(dir)
	if err == nil {
		defer root.Close()
		var raw []byte
		if raw, err = root.ReadFile(name, MaxProfile); err == nil {
			return raw, nil
		}
	}
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no such file below %s on this node", dir)
	case errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("the path leads out of %s on this node", dir)
	case errors.As(err, &at):
		return nil, at.Err
	}
	return nil, err
}

// keep lays a profile down under a name that says what is in it; one that a power cut
// damaged is laid down anew.
func keep(podDir string, raw []byte) (string, error) {
	root, err := os.OpenRoot(podDir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := root.MkdirAll(copies, 0o700); err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	name := filepath.Join(copies, hex.EncodeToString(sum[:])+".json")
	path := filepath.Join(podDir, name)
	if old, err := bounded.Below(root, name, MaxProfile); err == nil && sha256.Sum256(old) == sum {
		return path, nil
	}
	return path, replace.UnsyncedBelow(root, name, raw, 0o600)
}
