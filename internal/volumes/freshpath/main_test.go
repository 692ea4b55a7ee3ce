package freshpath

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/mounts"
)

const (
	asContainer = "FRESHPATH_TEST_CONTAINER"
	// propagation is how the mounts of the test's machine are made: private or shared.
	propagation = "FRESHPATH_TEST_PROPAGATION"
)

// TestMain runs the tests in a mount namespace of their own, in which nobody else
// makes mounts. It also lets the test binary run as a container's first process.
func TestMain(m *testing.M) {
	if config := os.Getenv(asContainer); config != "" {
		exit(contain(config))
	}
	switch os.Getenv(propagation) {
	case "":
		again := inNamespace("private", os.Args[1:]...)
		again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := again.Run(); again.ProcessState == nil {
			exit(fmt.Errorf("making a mount namespace (needs root): %w", err))
		}
		os.Exit(again.ProcessState.ExitCode())
	case "private":
		exitOn(alone())
	case "shared":
		exitOn(errors.Join(alone(), unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")))
	}
	os.Exit(m.Run())
}

// alone cuts the namespace off from the machine's, and then takes off the mounts of
// systems and tests beside this one: they go, here too, when their place is removed.
func alone() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return errors.Join(mounts.Remove("/tmp"), mounts.Remove("/run"), mounts.Remove("/var"))
}

// inNamespace is the test binary in a mount namespace of its own.
func inNamespace(how string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), propagation+"="+how)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	return cmd
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func exit(err error) {
	exitOn(err)
	os.Exit(0)
}

// spec is what a test container is made from.
type spec struct {
	Root   string
	Mounts []bind
}

type bind struct {
	Host, Path string
	Flags      uintptr // of mount(2), without MS_BIND
}

// order is something that the container's process does.
type order struct {
	Op   string
	Args []string
	// Flags of mount(2) and umount(2).
	Flags uintptr
}

type answer struct {
	Out, Err string
	Reads    int64
}

// contain makes a root from a tmpfs, as a runtime does, and takes orders.
func contain(config string) error {
	var s spec
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	if err := s.make(); err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{Out: "ready"}); err != nil {
		return err
	}
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return nil // the test is over
		}
		a := obey(o)
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (s spec) make() error {
	steps := []error{
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""),
		unix.Mount("root", s.Root, "tmpfs", 0, "mode=755"),
		os.MkdirAll(s.Root+"/proc", 0o755),
		os.MkdirAll(s.Root+"/.old", 0o755),
		unix.Mount("proc", s.Root+"/proc", "proc", 0, ""),
	}
	for _, b := range s.Mounts {
		steps = append(steps, b.make(s.Root))
	}
	steps = append(steps, unix.PivotRoot(s.Root, s.Root+"/.old"), os.Chdir("/"), unix.Unmount("/.old", unix.MNT_DETACH))
	return errors.Join(steps...)
}

func (b bind) make(root string) error {
	target := root + b.Path
	info, err := os.Stat(b.Host)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else {
		err = errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, nil, 0o644))
	}
	const spread = unix.MS_SHARED | unix.MS_SLAVE | unix.MS_PRIVATE | unix.MS_UNBINDABLE
	return errors.Join(err,
		unix.Mount(b.Host, target, "", unix.MS_BIND|unix.MS_REC, ""),
		unix.Mount("", target, "", unix.MS_PRIVATE, ""),
		unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|b.Flags&^spread, ""),
		unix.Mount("", target, "", max(b.Flags&spread, unix.MS_PRIVATE), ""),
	)
}

var (
	stop    atomic.Bool
	looping sync.WaitGroup
	reads   atomic.Int64
	faults  sync.Map
)

func obey(o order) (a answer) {
	var err error
	arg := func(i int) string { return o.Args[i] }
	switch o.Op {
	case "read":
		var data []byte
		data, err = os.ReadFile(arg(0))
		a.Out = string(data)
	case "list":
		var entries []os.DirEntry
		entries, err = os.ReadDir(arg(0))
		for _, e := range entries {
			a.Out += e.Name() + " "
		}
	case "mount":
		err = unix.Mount(arg(0), arg(1), arg(2), o.Flags, "")
	case "unmount":
		err = unix.Unmount(arg(0), int(o.Flags))
	case "mkdir":
		err = os.MkdirAll(arg(0), 0o755)
	case "touch":
		err = os.WriteFile(arg(0), nil, 0o644)
	case "rename":
		err = os.Rename(arg(0), arg(1))
	case "symlink":
		err = os.Symlink(arg(0), arg(1))
	case "chroot":
		err = errors.Join(os.MkdirAll(arg(0), 0o755), unix.Chroot(arg(0)), os.Chdir("/"))
	case "watch": // reads until stop
		loop(func() {
			data, err := os.ReadFile(arg(0))
			reads.Add(1)
			if err != nil {
				faults.Store(err.Error(), true)
			} else if !strings.HasPrefix(string(data), "value") {
				faults.Store(fmt.Sprintf("%q", data), true)
			}
		})
	case "fight": // moves, covers, uncovers and unmounts what is at a path, until stop
		loop(func() { fight(arg(0), arg(1)) })
	case "stop":
		stop.Store(true)
		looping.Wait()
		stop.Store(false)
		a.Reads = reads.Load()
		faults.Range(func(k, _ any) bool { a.Out += k.(string) + "\n"; return true })
	default:
		err = fmt.Errorf("no such order: %s", o.Op)
	}
	if err != nil {
		a.Err = err.Error()
	}
	return a
}

func loop(do func()) {
	looping.Go(func() {
		for !stop.Load() {
			do()
		}
	})
}

// fight keeps the mount at dir/file from staying where it is. Steps fail as they may.
func fight(dir, other string) {
	file := filepath.Join(dir, "file")
	_ = os.Rename(dir, dir+".moved")
	_ = os.Symlink("/proc", dir)
	_ = os.Remove(dir)
	_ = os.Rename(dir+".moved", dir)
	_ = unix.Mount(other, file, "", unix.MS_BIND, "")
	_ = unix.Unmount(file, unix.MNT_DETACH)
	_ = unix.Mount(file, other, "", unix.MS_MOVE, "")
	_ = unix.Mount(other, file, "", unix.MS_MOVE, "")
}
