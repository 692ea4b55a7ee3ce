package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// published is the name that a publisher moves into place when it swaps a volume's
// content.
const published = "..data"

// tokenPath is where pods see the token that every pod gets, as the file token.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// sighting is what a reader in a pod's mount namespace read, by file, and when.
type sighting struct {
	pod   int
	files map[string]string
	at    time.Time
}

// readers read the volume of every pod through the mount of its container, as soon
// as the kernel tells that the volume's directory changed.
type readers struct {
	files []string
	// inotify is the descriptor of events: asking the file for it would make reads
	// block for good.
	inotify int
	events  *os.File
	open    []*os.File       // the volumes' directories
	dirs    map[int32]volume // by watch descriptor
	seen    chan sighting
}

// volume is a pod's volume as its container sees it.
type volume struct {
	pod int
	dir string
}

// newReaders watches the volume at path of pods 0 to n-1 of a fleet, to read these
// files of it.
func newReaders(n int, path string, files ...string) (*readers, error) {
	processes, err := withEnviron(nameVariable)
	if err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching volumes: %w", err)
	}
	r := &readers{files: files, inotify: fd, events: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]volume{}, seen: make(chan sighting, 1024)}
	for i := range n {
		pid, ok := processes[podName(i)]
		if !ok {
			return nil, fmt.Errorf("pod %d has no process: %w", i, r.close())
		}
		if err := r.watch(i, pid, path); err != nil {
			return nil, errors.Join(fmt.Errorf("watching %s of pod %d: %w", path, i, err), r.close())
		}
	}
	go r.run()
	return r, nil
}

// watch adds a pod's volume. Links in the path are those of its container.
func (r *readers) watch(pod, pid int, path string) error {
	root, err := os.Open(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		return err
	}
	defer root.Close()
	fd, err := unix.Openat2(int(root.Fd()), path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_DIRECTORY, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return err
	}
	r.open = append(r.open, os.NewFile(uintptr(fd), path))
	dir := fmt.Sprintf("/proc/self/fd/%d", fd)
	wd, err := unix.InotifyAddWatch(r.inotify, dir, unix.IN_MOVED_TO)
	if err != nil {
		return err
	}
	r.dirs[int32(wd)] = volume{pod, dir}
	return nil
}

// close ends the readers.
func (r *readers) close() error {
	errs := []error{r.events.Close()}
	for _, dir := range r.open {
		errs = append(errs, dir.Close())
	}
	return errors.Join(errs...)
}

func (r *readers) run() {
	defer close(r.seen)
	buf := make([]byte, 64<<10)
	for {
		n, err := r.events.Read(buf)
		if err != nil {
			return // closed
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			end := unix.SizeofInotifyEvent + int(event.Len)
			name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00"))
			if v, ok := r.dirs[event.Wd]; ok && name == published {
				r.seen <- v.read(r.files)
			}
			rest = rest[end:]
		}
	}
}

func (v volume) read(files []string) sighting {
	s := sighting{pod: v.pod, files: map[string]string{}}
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(v.dir, file))
		if err != nil {
			raw = []byte(err.Error()) // never what is awaited
		}
		s.files[file] = string(raw)
	}
	s.at = time.Now()
	return s
}

// await returns the time at which the last of n pods was seen as wanted.
func (r *readers) await(ctx context.Context, n int, wanted func(sighting) bool) (time.Time, error) {
	limit := time.NewTimer(updateLimit)
	defer limit.Stop()
	seen := map[int]bool{}
	for {
		select {
		case s := <-r.seen:
			if wanted(s) {
				seen[s.pod] = true
			}
			if len(seen) == n {
				return s.at, nil
			}
		case <-limit.C:
			return time.Time{}, fmt.Errorf("after %s it is in %d of %d pods", updateLimit, len(seen), n)
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}
