package freshpath

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/rootfd"
)

// patience bounds the look for a path of the container's: one that serves a file
// system itself can let it wait for ever.
const patience = 5 * time.Second

var errStuck = fmt.Errorf("the container's file system did not answer within %s; restart the container", patience)

// namespace is a thread inside the mount namespace of a process. The thread is the
// namespace's for good: it ends with it and is never used for anything else.
type namespace struct {
	calls chan func()
	self  *rootfd.Dir // this process in the host's /proc; all calls stay on it
	root  *rootfd.Dir // of the namespace, set in the thread
	tid   int
}

// enter starts a thread in the mount namespace of the process that the pidfd holds.
func enter(pidfd int) (*namespace, error) {
	self, err := rootfd.Open("/proc/self")
	if err != nil {
		return nil, err
	}
	ns := &namespace{calls: make(chan func()), self: self}
	go ns.thread()
	if err := ns.do(func() error { return ns.join(pidfd) }); err != nil {
		ns.leave()
		return nil, fmt.Errorf("entering the container's mount namespace: %w", err)
	}
	return ns, nil
}

// thread runs calls. Ending without unlocking the thread makes the runtime end it.
// The first thread of the process cannot end, and /proc/self is its view: it is only
// kept from being used meanwhile.
func (ns *namespace) thread() {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		go func() { defer close(done); ns.thread() }()
		<-done
		return
	}
	for call := range ns.calls {
		call()
	}
	ns.close()
}

func (ns *namespace) close() {
	if ns.root != nil {
		ns.root.Close()
	}
	ns.self.Close()
}

// leave ends the thread, once it is back from a look that was given up.
func (ns *namespace) leave() { close(ns.calls) }

// do runs a function in the thread and waits for its end. The function must not look
// at anything by a path of the container's.
func (ns *namespace) do(call func() error) error {
	done := make(chan error, 1)
	ns.calls <- func() { done <- call() }
	return <-done
}

// join moves the thread. It has a root and a working directory of its own first, as
// setns demands.
func (ns *namespace) join(pidfd int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("giving the thread a root of its own: %w", err)
	}
	if err := unix.Setns(pidfd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	ns.tid = unix.Gettid()
	ours, err := ns.number("ns/mnt")
	if err != nil {
		return err
	}
	now, err := ns.number(fmt.Sprintf("task/%d/ns/mnt", ns.tid))
	if err != nil {
		return err
	}
	if ours == now {
		return errors.New("the container is in the machine's own mount namespace")
	}
	if ns.root, err = rootfd.Open("/"); err != nil { // set by setns: the namespace's, not the process's
		return err
	}
	// From here a path can name our own descriptors, whatever /proc is in there.
	return unix.Fchdir(ns.self.Descriptor())
}

// number names a namespace by its entry in our /proc.
func (ns *namespace) number(entry string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(ns.self.Descriptor(), entry, &st, 0); err != nil {
		return 0, fmt.Errorf("reading %s: %w", entry, err)
	}
	return st.Ino, nil
}

// mounts lists the mounts of the namespace, all of them: the view of the container's
// process could be narrowed by its chroot.
func (ns *namespace) mounts() (all []mounts.Mount, err error) {
	err = ns.do(func() (err error) { all, err = ns.list(); return err })
	return all, err
}

// list is mounts, in the thread: the file is that of the thread that opens it.
func (ns *namespace) list() ([]mounts.Mount, error) {
	fd, err := unix.Openat(ns.self.Descriptor(), fmt.Sprintf("task/%d/mountinfo", ns.tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	file := os.NewFile(uintptr(fd), "mountinfo")
	defer file.Close()
	return mounts.Read(file)
}

// tries is how often a mount is looked for that moves.
const tries = 3

// open returns a handle on the root of a mount. It is the mount that m describes:
// number, file system and what it shows were read again while the handle kept it.
// After errStuck the namespace must only be left.
func (ns *namespace) open(ctx context.Context, m mounts.Mount) (*rootfd.Dir, error) {
	type found struct {
		at  *rootfd.Dir
		err error
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	done := make(chan found, 1)
	ns.calls <- func() {
		at, err := ns.find(m)
		done <- found{at, err}
	}
	select {
	case f := <-done:
		return f.at, f.err
	case <-ctx.Done():
		go func() {
			if late := <-done; late.err == nil {
				late.at.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// find is open, in the thread.
func (ns *namespace) find(m mounts.Mount) (at *rootfd.Dir, err error) {
	for range tries {
		if at, err = ns.root.Plain(strings.TrimPrefix(m.Point, "/")); err == nil {
			if err = ns.check(at, m); err == nil {
				return at, nil
			}
			at.Close()
		}
		all, listErr := ns.list()
		if listErr != nil {
			return nil, listErr
		}
		now := byID(all, m.ID)
		if now == nil || now.Device != m.Device {
			return nil, errors.New("the container has unmounted it")
		}
		if now.Point == m.Point {
			break // not on the way: it is covered, or kept from being reached
		}
		m = *now
	}
	if _, path := errors.AsType[*fs.PathError](err); path {
		err = errCovered
	}
	return nil, err
}

var errCovered = errors.New("the container has moved it or mounted over it")

// check tells why the handle is not on the root of the mount m, or why m must not be
// exchanged.
func (ns *namespace) check(at *rootfd.Dir, m mounts.Mount) error {
	id, root, err := at.MountID()
	if err != nil {
		return err
	}
	if id != m.ID || !root {
		return errCovered
	}
	all, err := ns.list()
	if err != nil {
		return err
	}
	now := byID(all, m.ID)
	if now == nil || now.Device != m.Device || now.Root != m.Root {
		return errors.New("the container has exchanged it")
	}
	for _, other := range all {
		if other.Parent == m.ID {
			return fmt.Errorf("something else is mounted on it, at %s", other.Point)
		}
	}
	return nil
}

func byID(all []mounts.Mount, id uint64) *mounts.Mount {
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// exchange puts tree in the place of the mount m, of which was is a handle.
func (ns *namespace) exchange(m mounts.Mount, was *rootfd.Dir, tree *rootfd.Tree) error {
	return ns.do(func() error {
		if err := tree.Beneath(was); err != nil {
			return refusal(err)
		}
		// Had the container mounted something on it since the check, the kernel would
		// have put the tree beneath that.
		err := ns.between(m, tree)
		if err == nil {
			return ns.detach(was)
		}
		root, rootErr := tree.Root()
		if rootErr != nil {
			return rootErr
		}
		defer root.Close()
		return errors.Join(err, ns.detach(root))
	})
}

// between tells why tree is not right between m and what m was mounted in.
func (ns *namespace) between(m mounts.Mount, tree *rootfd.Tree) error {
	root, err := tree.Root()
	if err != nil {
		return err
	}
	defer root.Close()
	id, _, err := root.MountID()
	if err != nil {
		return err
	}
	all, err := ns.list()
	if err != nil {
		return err
	}
	below, top := byID(all, id), byID(all, m.ID)
	if below == nil || top == nil || below.Parent != m.Parent || top.Parent != id {
		return errors.New("the container has mounted over it or moved it meanwhile")
	}
	return nil
}

// detach takes off the mount that the handle is on.
func (ns *namespace) detach(at *rootfd.Dir) error {
	return at.DetachBy(fmt.Sprintf("fd/%d", at.Descriptor()))
}

// refusal is the kernel's EINVAL in words.
func refusal(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return errors.New("the kernel refuses to exchange it: the container has made its mounts shared, or moved into a namespace of its own")
	}
	return err
}
