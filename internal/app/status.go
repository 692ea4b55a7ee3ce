package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/datadir"
)

// Status is what runs on a data directory, since when, and how full it is.
type Status struct {
	DataDir string
	// PID is the process that runs on the directory, 0 when none does.
	PID   int
	Since time.Time
	// Resident is the process's memory in bytes.
	Resident int64
	// Server is the address of the API; Ready is why it does not serve, nil when
	// it does. Version is its version.
	Server, Version string
	Ready           error
	Nodes           []corev1.Node
	// Pods counts pods by phase.
	Pods map[corev1.PodPhase]int
	// StoreBytes and ImageBytes are what store and images take on disk; Free is
	// what its file system has left.
	StoreBytes, ImageBytes, Free int64
}

// ReadStatus collects the status of the system on the data directory at path.
// client reaches its API.
func ReadStatus(ctx context.Context, path string, client kubernetes.Interface) (Status, error) {
	dir, err := datadir.Locate(path)
	if err != nil {
		return Status{}, err
	}
	s := Status{DataDir: dir.Path, PID: dir.Owner()}
	if _, err := os.Stat(dir.Path); err != nil {
		return s, fmt.Errorf("no system here: %w", err)
	}
	s.StoreBytes, s.ImageBytes = size(dir.Etcd()), size(dir.Containerd())
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir.Path, &disk); err == nil {
		s.Free = int64(disk.Bavail) * disk.Bsize
	}
	if s.PID == 0 {
		return s, nil
	}
	s.readProcess()
	s.Ready = s.readServer(ctx, client)
	return s, nil
}

// readProcess reads age and memory of the process; what cannot be read stays zero.
func (s *Status) readProcess() {
	proc := fmt.Sprintf("/proc/%d", s.PID)
	if info, err := os.Stat(proc); err == nil {
		s.Since = info.ModTime()
	}
	raw, err := os.ReadFile(filepath.Join(proc, "statm"))
	if err != nil {
		return
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(raw), &total, &resident); err == nil {
		s.Resident = resident * int64(os.Getpagesize())
	}
}

func (s *Status) readServer(ctx context.Context, client kubernetes.Interface) error {
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("the API does not answer: %w", err)
	}
	s.Version = version.GitVersion
	answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	if err != nil {
		return errors.New(string(answer))
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	s.Nodes = nodes.Items
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	s.Pods = map[corev1.PodPhase]int{}
	for i := range pods.Items {
		s.Pods[pods.Items[i].Status.Phase]++
	}
	return nil
}

// size returns the bytes that the files below dir take on disk; what cannot be read
// counts as nothing.
func size(dir string) (bytes int64) {
	// A file that vanishes meanwhile is no error here.
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes += stat.Blocks * 512
			}
		}
		return nil
	})
	return bytes
}
