package containerfiles

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/seccomp"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/place"
)

// Files makes and reads what containers have in the directories of their pods. All fields
// are required. It is safe for concurrent use.
type Files struct {
	Volumes Volumes
	// Profiles is the directory of seccomp profiles.
	Profiles string
	// ClusterDomain is in the names of pods that have a subdomain.
	ClusterDomain string
	// Logs is the directory of all pod logs.
	Logs *os.Root
	// Clock is real time.
	Clock clock.Wall
}

// Volumes are the volumes of pods, see place.Manager.
type Volumes interface {
	// MountsFor returns the mounts of a container that is about to start.
	MountsFor(pod *corev1.Pod, container string) ([]place.Mount, error)
	// PodDir is the pod's directory.
	PodDir(uid types.UID) string
}

const (
	// A termination message has at most messageBytes; one that is taken from the
	// log has at most logMessageBytes in logMessageLines.
	messageBytes    = 4096
	logMessageBytes = 2048
	logMessageLines = 80
)

// Mounts are a container's volumes, its /etc/hosts and the file for its
// termination message.
func (f *Files) Mounts(pod *corev1.Pod, c *corev1.Container) ([]cri.Mount, error) {
	volumes, err := f.Volumes.MountsFor(pod, c.Name)
	if err != nil {
		return nil, err
	}
	var out []cri.Mount
	hosts := true
	for _, m := range volumes {
		hosts = hosts && filepath.Clean(m.ContainerPath) != hostsPath
		out = append(out, cri.Mount{
			HostPath: m.HostPath, ContainerPath: m.ContainerPath, ReadOnly: m.ReadOnly,
			Propagation: propagation(m.Propagation),
		})
	}
	dir, root, err := f.openPodDir(pod.UID)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if hosts {
		if err := f.writeHosts(root, pod); err != nil {
			return nil, err
		}
		out = append(out, cri.Mount{HostPath: filepath.Join(dir, hostsFile), ContainerPath: hostsPath})
	}
	if c.TerminationMessagePath != "" {
		file, err := terminationFile(root, c.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, cri.Mount{HostPath: filepath.Join(dir, file), ContainerPath: c.TerminationMessagePath})
	}
	return out, nil
}

// PlaceProfile puts the seccomp profile of a container where the runtime may read it.
func (f *Files) PlaceProfile(pod *corev1.Pod, spec *cri.ContainerSpec) error {
	profile := &spec.Security.Seccomp
	if profile.Kind != cri.ProfileLocalhost {
		return nil
	}
	if spec.Security.Privileged { // which no runtime gives a filter
		*profile = cri.Profile{Kind: cri.ProfileUnconfined}
		return nil
	}
	path, err := seccomp.Place(f.Profiles, profile.Localhost, f.Volumes.PodDir(pod.UID))
	if err != nil {
		return err
	}
	profile.Localhost = path
	return nil
}

// openPodDir opens a pod's directory, which is made where there is none.
func (f *Files) openPodDir(pod types.UID) (path string, root *os.Root, err error) {
	path = f.Volumes.PodDir(pod)
	if err := os.MkdirAll(path, 0o750); err != nil {
		return "", nil, fmt.Errorf("making pod directory: %w", err)
	}
	if root, err = os.OpenRoot(path); err != nil {
		return "", nil, fmt.Errorf("opening pod directory: %w", err)
	}
	return path, root, nil
}

// ownDir is what a container has to itself in the pod's directory.
func ownDir(container string) string { return filepath.Join("containers", container) }

// makeDir makes what a container has to itself.
func makeDir(root *os.Root, container string) error {
	if err := root.MkdirAll(ownDir(container), 0o755); err != nil {
		return fmt.Errorf("making container directory: %w", err)
	}
	return nil
}

// terminationFile makes the file that a container's termination message goes to and
// returns its path in the pod's directory. Every user of the container may write it.
func terminationFile(root *os.Root, container string) (string, error) {
	if err := makeDir(root, container); err != nil {
		return "", err
	}
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("naming termination message: %w", err)
	}
	path := filepath.Join(ownDir(container), hex.EncodeToString(id[:]))
	f, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return "", fmt.Errorf("making termination message: %w", err)
	}
	defer f.Close()
	if err := f.Chmod(0o666); err != nil {
		return "", fmt.Errorf("making termination message writable: %w", err)
	}
	return path, nil
}

// TerminationMessage is what a dead container left in its file, or, where the pod
// asks for it, the end of its log.
func (f *Files) TerminationMessage(ctx context.Context, pod *corev1.Pod, c cri.Container) string {
	if message := f.readMessage(pod, c); message != "" {
		return message
	}
	if c.ExitCode == 0 || c.Annotations[runspec.AnnotationTerminationPolicy] != string(corev1.TerminationMessageFallbackToLogsOnError) {
		return ""
	}
	src := logs.Source{Root: f.Logs, Path: runspec.ContainerLog(pod, c.Name, c.Attempt), Clock: f.Clock}
	message, err := logs.End(ctx, src, logMessageLines, logMessageBytes)
	if err != nil {
		return ""
	}
	return string(message)
}

// readMessage reads the end of the file that the container has for its message.
func (f *Files) readMessage(pod *corev1.Pod, c cri.Container) string {
	dir := f.Volumes.PodDir(pod.UID)
	for _, m := range c.Mounts {
		rel, err := filepath.Rel(dir, m.HostPath)
		if err != nil || filepath.Dir(rel) != ownDir(c.Name) {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return ""
		}
		defer root.Close()
		return readEnd(root, rel, messageBytes)
	}
	return ""
}

// readEnd is at most limit bytes from the end of a file, empty when it cannot be read.
func readEnd(root *os.Root, path string, limit int64) string {
	f, err := bounded.OpenBelow(root, path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := bounded.End(f, limit)
	if err != nil {
		return ""
	}
	return string(data)
}

func propagation(p corev1.MountPropagationMode) cri.Propagation {
	switch p {
	case corev1.MountPropagationHostToContainer:
		return cri.PropagationHostToContainer
	case corev1.MountPropagationBidirectional:
		return cri.PropagationBidirectional
	}
	return cri.PropagationPrivate
}
