package freshpath

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/place"
)

// maxMounts bounds the mounts of one volume in one container that are followed. Only
// a container that makes mounts itself has so many.
const maxMounts = 256

// container brings the mounts of volumes in one container up to date. It returns false
// when another try may get further.
func (f *Follower) container(ctx context.Context, p *pod, spec *corev1.Pod, c Container, names []string) (looked bool) {
	if p.stuck[c.ID] {
		return true
	}
	held, err := f.hold(ctx, p, c)
	if err != nil {
		f.failed(ctx, p, spec, c, names, err)
		return false
	}
	ns, err := enter(held.Descriptor())
	if err != nil {
		return f.failed(ctx, p, spec, c, names, err)
	}
	defer ns.leave()
	looked = true
	for i, name := range names {
		err := f.volume(ctx, ns, p, spec, c, name)
		if errors.Is(err, errStuck) {
			p.stuck[c.ID] = true
			return f.failed(ctx, p, spec, c, names[i:], err)
		}
		if ctx.Err() != nil { // the thread may not be back
			return false
		}
		looked = (err == nil || f.failed(ctx, p, spec, c, []string{name}, err)) && looked
	}
	return looked
}

// failed tells of an error that is not about one mount; it returns whether the error
// is for good.
func (f *Follower) failed(ctx context.Context, p *pod, spec *corev1.Pod, c Container, names []string, err error) bool {
	if ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) { // the container has ended, or the volume
		f.cfg.Log.Debug("subPaths of a container not looked at", "pod", spec.Name, "namespace", spec.Namespace, "container", c.Name, "error", err)
		return false
	}
	f.tellAll(p, spec, c, names, "its subPath mounts are not updated: "+cause(err))
	return true
}

func (f *Follower) tellAll(p *pod, spec *corev1.Pod, c Container, names []string, message string) {
	for _, name := range names {
		f.tell(p, spec, subject{container: c.Name, volume: name}, message)
	}
}

// hold holds the container's first process, for as long as it lives.
func (f *Follower) hold(ctx context.Context, p *pod, c Container) (*procfs.Held, error) {
	held := p.procs[c.ID]
	if held != nil && held.Alive() {
		return held, nil
	}
	found, err := f.cfg.Hold(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	if held != nil {
		held.Close()
	}
	p.procs[c.ID] = found
	return found, nil
}

// volume brings the mounts of one volume up to date.
func (f *Follower) volume(ctx context.Context, ns *namespace, p *pod, spec *corev1.Pod, c Container, name string) error {
	content, err := f.cfg.Volumes.Content(spec.UID, name)
	if err != nil {
		return err
	}
	defer content.Close()
	all, err := ns.mounts()
	if err != nil {
		return err
	}
	count := 0
	for _, m := range all {
		subPath, ok := place.SubPathOf(m.Root)
		if !ok || m.Device != content.Device {
			continue
		}
		if count++; count > maxMounts {
			return fmt.Errorf("the container has more than %d mounts of the volume", maxMounts)
		}
		isDir, err := f.follow(ctx, ns, content, m, subPath)
		message := ""
		switch {
		case errors.Is(err, errStuck), ctx.Err() != nil:
			return err
		case err != nil && isDir:
			message = fmt.Sprintf("%s is not updated, and its files will disappear with the old state of the volume: %s", m.Point, cause(err))
		case err != nil:
			message = fmt.Sprintf("%s keeps its old content: %s", m.Point, cause(err))
		}
		f.tell(p, spec, subject{c.Name, name, m.Point}, message)
	}
	f.tell(p, spec, subject{container: c.Name, volume: name}, "")
	return nil
}

// follow brings one mount up to date. It also tells whether the mount is a directory,
// as far as that could be seen.
func (f *Follower) follow(ctx context.Context, ns *namespace, content *place.Content, m mounts.Mount, subPath string) (isDir bool, err error) {
	now, openErr := content.Open(subPath)
	if openErr == nil {
		defer now.Close()
		isDir, openErr = now.IsDir()
	}
	was, err := ns.open(ctx, m)
	if err != nil {
		return isDir, err
	}
	defer was.Close()
	if isDir, err = was.IsDir(); err != nil {
		return isDir, err
	}
	if errors.Is(openErr, fs.ErrNotExist) || errors.Is(openErr, unix.ENOTDIR) {
		return isDir, fmt.Errorf("the volume has no %q any more", subPath)
	}
	if openErr != nil {
		return isDir, openErr
	}
	if same, err := same(was, now); same || err != nil {
		return isDir, err
	}
	return isDir, exchange(ns, m, was, now)
}

// exchange has the mount m, of which was is a handle, show now.
func exchange(ns *namespace, m mounts.Mount, was, now *rootfd.Dir) error {
	attributes, err := attributesOf(m)
	if err != nil {
		return err
	}
	tree, err := now.Clone()
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := tree.Set(attributes); err != nil {
		return err
	}
	return ns.exchange(m, was, tree)
}

// cause is err without the node's paths, which mean nothing to the pod's owner.
func cause(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Op + ": " + at.Err.Error()
	}
	return err.Error()
}

// same tells whether a mount need not be exchanged: it shows this very file, or one
// with the same content, mode and owner, so that nobody who watches it is disturbed.
// A directory's files are removed with their generation: it is always exchanged.
func same(was, now *rootfd.Dir) (bool, error) {
	w, err := was.Stat()
	if err != nil {
		return false, err
	}
	n, err := now.Stat()
	if err != nil {
		return false, err
	}
	switch {
	case w.Dev == n.Dev && w.Ino == n.Ino:
		return true, nil
	case w.Mode&unix.S_IFMT != n.Mode&unix.S_IFMT:
		return false, fmt.Errorf("it is a %s in the volume now and was a %s; restart the container to see it", kind(n.Mode), kind(w.Mode))
	case w.Mode != n.Mode, w.Uid != n.Uid, w.Gid != n.Gid, w.Size != n.Size, w.Mode&unix.S_IFMT != unix.S_IFREG:
		return false, nil
	}
	return sameBytes(was, now)
}

func kind(mode uint32) string {
	if mode&unix.S_IFMT == unix.S_IFDIR {
		return "directory"
	}
	return "file"
}
