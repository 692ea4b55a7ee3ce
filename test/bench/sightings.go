package main

import (
	"bytes"
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

// sighting is what a reader in a pod's mount namespace read, and when.
type sighting struct {
	pod         int
	own, shared string
	at          time.Time
}

// readers read the volume of every pod through the mount of its container, as soon
// as the kernel tells that the volume's directory changed.
type readers struct {
	events *os.File
	dirs   map[int32]volume // by watch descriptor
	seen   chan sighting
}

// volume is a pod's volume as its container sees it.
type volume struct {
	pod int
	dir string
}

// newReaders watches pods 0 to n-1 of a fleet.
func newReaders(n int) (*readers, error) {
	processes, err := withEnviron(nameVariable)
	if err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching volumes: %w", err)
	}
	r := &readers{events: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]volume{}, seen: make(chan sighting, 1024)}
	for i := range n {
		pid, ok := processes[podName(i)]
		if !ok {
			return nil, fmt.Errorf("pod %d has no process: %w", i, r.events.Close())
		}
		dir := fmt.Sprintf("/proc/%d/root%s", pid, mountPath)
		wd, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO)
		if err != nil {
			r.events.Close()
			return nil, fmt.Errorf("watching %s: %w", dir, err)
		}
		r.dirs[int32(wd)] = volume{i, dir}
	}
	go r.run()
	return r, nil
}

// close ends the readers.
func (r *readers) close() error { return r.events.Close() }

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
				r.seen <- v.read()
			}
			rest = rest[end:]
		}
	}
}

func (v volume) read() sighting {
	s := sighting{pod: v.pod}
	for file, into := range map[string]*string{"own": &s.own, "shared": &s.shared} {
		raw, err := os.ReadFile(filepath.Join(v.dir, file))
		if err != nil {
			*into = err.Error() // no number: it is never what was written
			continue
		}
		*into = string(raw)
	}
	s.at = time.Now()
	return s
}
