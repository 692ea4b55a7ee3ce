// Package status reads what runs on a data directory, since when, and how full it is.
//
// It owns what is read and from where, and changes nothing. How it is shown lives in
// internal/cli, what is missing on the machine in internal/doctor.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/etcd/damaged"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/hostresources"
)

// Status is what runs, since when, and how full it is.
type Status struct {
	// DataDir is empty for a system that is only known by its API; then the fields
	// on process and disk are empty too.
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
	// Names is how pods resolve names of the cluster, nil where they cannot.
	Names *Names
	// Damaged are objects of the store that cannot be read.
	Damaged []damaged.Object
	// Left counts the processes that go on without laterna: containerd, its shims
	// and what runs in containers.
	Left int
	// StoreBytes and ImageBytes are what store and images take on disk; Free is
	// what its file system has left.
	StoreBytes, ImageBytes, Free int64
	// Full says that the file system has no room left, bytes or inodes.
	Full bool
	// FewFiles says that the file system has few inodes left: FreeFiles.
	FewFiles  bool
	FreeFiles uint64
}

// Stopped tells whether there is a data directory on which no process runs.
func (s *Status) Stopped() bool { return s.DataDir != "" && s.PID == 0 }

// timeout bounds how long the API is waited for.
const timeout = 5 * time.Second

// Read collects the status of the system on the data directory at path, or of
// one that is only known by its API when path is empty. connect reaches the API; where it
// cannot, the rest is told all the same, if there is more than the API.
func Read(ctx context.Context, path string, connect func() (kubernetes.Interface, error)) (Status, error) {
	client, unreachable := connect()
	if path == "" {
		if unreachable != nil {
			return Status{}, unreachable
		}
		var s Status
		s.Ready = s.readServer(ctx, client)
		return s, nil
	}
	if errors.Is(unreachable, fs.ErrPermission) {
		return Status{}, unreachable // nothing else is readable either
	}
	dir, err := datadir.Locate(path)
	if err != nil {
		return Status{}, err
	}
	s := Status{DataDir: dir.Path, PID: dir.Owner()}
	if _, err := os.Stat(dir.Path); err != nil {
		if unreachable != nil {
			err = unreachable // it says what to do
		}
		return s, err
	}
	s.StoreBytes, s.ImageBytes = size(dir.Etcd()), size(dir.Containerd())
	if room, err := machine.RoomOf(dir.Path); err == nil {
		s.Full = reserve.Default(room).Short(room)
		s.Free, s.FreeFiles, s.FewFiles = int64(room.Bytes), room.Inodes, room.FewInodes()
	}
	if s.PID == 0 {
		s.Left = hostresources.Processes(ctx, dir)
		return s, nil
	}
	s.readProcess()
	if s.Ready = unreachable; unreachable == nil {
		s.Ready = s.readServer(ctx, client)
	}
	return s, nil
}

// readProcess reads age and memory of the process; what cannot be read stays zero.
func (s *Status) readProcess() {
	proc := fmt.Sprintf("/proc/%d", s.PID)
	if info, err := os.Stat(proc); err == nil {
		s.Since = info.ModTime()
	}
	raw, err := bounded.File(filepath.Join(proc, "statm"), bounded.Small)
	if err != nil {
		return
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(raw), &total, &resident); err == nil {
		s.Resident = resident * int64(os.Getpagesize())
	}
}

func (s *Status) readServer(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	rest := client.Discovery().RESTClient()
	s.Server = strings.TrimSuffix(rest.Get().AbsPath("/").URL().String(), "/")
	raw, err := rest.Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("the API does not answer: %w", err)
	}
	var info version.Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return fmt.Errorf("reading /version of %s: %w", s.Server, err)
	}
	s.Version = info.GitVersion
	answer, err := rest.Get().AbsPath("/readyz").DoRaw(ctx)
	if err != nil && len(answer) > 0 {
		return errors.New(strings.TrimSpace(string(answer)))
	} else if err != nil {
		return fmt.Errorf("asking /readyz: %w", err)
	}
	// Who may not ask is not told.
	if s.Damaged, err = damaged.Ask(ctx, rest); err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	s.Nodes = nodes.Items
	if s.Names, err = readNames(ctx, client, s.PID != 0); err != nil {
		return err
	}
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

// size returns the bytes that the files below dir take on disk, a file with several
// names once; what cannot be read counts as nothing.
func size(dir string) (bytes int64) {
	seen := map[uint64]bool{} // of files with several names, on the one file system
	// A file that vanishes meanwhile is no error here.
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || stat.Nlink > 1 && seen[stat.Ino] {
			return nil
		}
		if stat.Nlink > 1 {
			seen[stat.Ino] = true
		}
		bytes += stat.Blocks * 512
		return nil
	})
	return bytes
}
