package podworker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

// files makes and reads what containers have in the pod's directory beside volumes.
type files struct{ *core }

const (
	// A termination message has at most messageBytes; one that is taken from the
	// log has at most logMessageBytes in logMessageLines.
	messageBytes    = 4096
	logMessageBytes = 2048
	logMessageLines = 80
)

// mounts are a container's volumes, its /etc/hosts and the file for its
// termination message.
func (f *files) mounts(pod *corev1.Pod, c *corev1.Container) ([]cri.Mount, error) {
	volumes, err := f.deps.Volumes.MountsFor(pod, c.Name)
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
	dir := f.deps.Volumes.PodDir(f.uid)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making pod directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening pod directory: %w", err)
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

// messageDir is where the termination messages of a container are, in the pod's directory.
func messageDir(container string) string { return filepath.Join("containers", container) }

// terminationFile makes the file that a container's termination message goes to and
// returns its path in the pod's directory. Every user of the container may write it.
func terminationFile(root *os.Root, container string) (string, error) {
	dir := messageDir(container)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making container directory: %w", err)
	}
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("naming termination message: %w", err)
	}
	path := filepath.Join(dir, hex.EncodeToString(id[:]))
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

// terminationMessage is what a dead container left in its file, or, where the pod
// asks for it, the end of its log.
func (f *files) terminationMessage(ctx context.Context, c cri.Container) string {
	if message := f.readMessage(c); message != "" {
		return message
	}
	if c.ExitCode == 0 || c.Annotations[runspec.AnnotationTerminationPolicy] != string(corev1.TerminationMessageFallbackToLogsOnError) {
		return ""
	}
	src := logs.Source{Root: f.deps.Logs, Path: runspec.ContainerLog(f.board.snapshot().Pod, c.Name, c.Attempt), Clock: f.deps.Wall}
	message, err := logs.End(ctx, src, logMessageLines, logMessageBytes)
	if err != nil {
		return ""
	}
	return string(message)
}

// readMessage reads the end of the file that the container has for its message.
func (f *files) readMessage(c cri.Container) string {
	dir := f.deps.Volumes.PodDir(f.uid)
	for _, m := range c.Mounts {
		rel, err := filepath.Rel(dir, m.HostPath)
		if err != nil || filepath.Dir(rel) != messageDir(c.Name) {
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
