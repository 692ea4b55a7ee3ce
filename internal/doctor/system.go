package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	hostmachine "laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/host/rtnl"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/services"
	"laterna.dev/laterna/internal/runtime/containerd"
)

const apt = "apt-get install --no-remove --no-install-recommends "

func user() Check {
	c := Check{Name: "root", Required: true, OK: os.Geteuid() == 0, Detail: fmt.Sprintf("user id %d", os.Geteuid())}
	if !c.OK {
		c.Detail += "; pods need root (without pods: laterna up --node=false)"
		c.Fix = "sudo laterna up"
	}
	return c
}

func runtimePrograms() Check {
	c := Check{Name: "container runtime", Required: true}
	p, err := containerd.FindPrograms()
	var missing *containerd.MissingError
	switch {
	case errors.As(err, &missing):
		c.Detail, c.Fix = "not found: "+strings.Join(missing.Programs, ", "), missing.Fix()
	case err != nil:
		c.Detail = err.Error()
	default:
		c.OK, c.Detail = true, strings.Join([]string{p.Containerd, p.Runc, p.CNI}, ", ")
	}
	return c
}

// nftables asks the kernel, too: listing fails where it has no nf_tables.
func nftables(ctx context.Context) Check {
	c := Check{Name: "nftables", Required: true}
	path := containerd.LookPath("nft")
	if path == "" {
		c.Detail, c.Fix = "not found: nft", apt+"nftables"
		return c
	}
	out, err := exec.CommandContext(ctx, path, "list", "tables").CombinedOutput()
	if err != nil {
		c.Detail = fmt.Sprintf("%s list tables: %v: %s", path, err, strings.TrimSpace(string(out)))
		if os.Geteuid() == 0 {
			c.Fix = "modprobe nf_tables"
		}
		return c
	}
	c.OK, c.Detail = true, path
	return c
}

// port checks that the API server's address is free, or taken by the system itself.
func port(ctx context.Context, cfg Config) Check {
	c := Check{Name: "port", Required: true, OK: true, Detail: cfg.Listen + " is free"}
	if owner := cfg.Dir.Owner(); owner != 0 {
		c.Detail = fmt.Sprintf("laterna runs already (process %d)", owner)
		return c
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		c.OK, c.Detail = false, err.Error()
		if errors.Is(err, unix.EADDRINUSE) {
			c.Detail = cfg.Listen + " is in use by another program"
			c.Fix = "laterna up --listen 127.0.0.1:7443"
		}
		return c
	}
	l.Close()
	return c
}

// networks checks that addresses of services belong neither to a network of the machine
// nor to another system on it.
func networks(ctx context.Context, cfg Config) Check {
	c := Check{Name: "networks", OK: true, Detail: fmt.Sprintf("pods %s, services %s", cfg.PodNetwork, cfg.ServiceRange)}
	routes, err := rtnl.Routes()
	if err != nil {
		c.OK, c.Detail = false, err.Error()
		return c
	}
	if taken, ok := overlap(routes, cfg.ServiceRange); ok {
		c.OK = false
		c.Detail = fmt.Sprintf("the service range %s overlaps with the route to %s", cfg.ServiceRange, taken)
		c.Fix = otherRange
		return c
	}
	// What nft cannot say, its own check says.
	sharing, _ := services.Sharing(ctx, cfg.Dir.HostName(), cfg.ServiceRange)
	if len(sharing) > 0 {
		c.OK = false
		c.Detail = fmt.Sprintf("another system on this machine has service addresses of %s (nftables %s): programs of the machine and pods with hostNetwork may reach its API", cfg.ServiceRange, strings.Join(sharing, ", "))
		c.Fix = otherRange
	}
	return c
}

const otherRange = "laterna up --service-cluster-ip-range 172.30.0.0/16"

// overlap returns the first network with a route, other than the default, that shares
// addresses with p.
func overlap(routes []rtnl.Route, p netip.Prefix) (netip.Prefix, bool) {
	for _, r := range routes {
		if r.Dst.Bits() > 0 && p.IsValid() && r.Dst.Overlaps(p) {
			return r.Dst, true
		}
	}
	return netip.Prefix{}, false
}

// full says of what a file system has nothing left.
func full(room hostmachine.Room) string {
	if reserve.Default(room).ShortOfFiles(room) {
		return fmt.Sprintf(", yet only %d more files can be made there (inodes): containers do not start any more, and laterna may not", room.Inodes)
	}
	return ": the disk is full, pods cannot write and laterna may not start"
}

const makeRoom = "remove files there that are not needed; `laterna image rm NAME` removes an image, `laterna down` ends all pods and removes what their containers wrote, and the next `laterna up` evicts the pod that takes most"

// dataDirectory checks the file system below the data directory, or below the first
// directory above it that exists.
func dataDirectory(path string) Check {
	const (
		least = 1 << 30
	)
	c := Check{Name: "data directory", Required: true}
	var fs unix.Statfs_t
	err := unix.Statfs(path, &fs)
	for at := path; errors.Is(err, unix.ENOENT) && at != "/"; {
		at = filepath.Dir(at)
		err = unix.Statfs(at, &fs)
	}
	if err != nil {
		c.Detail = fmt.Sprintf("%s: %v", path, err)
		return c
	}
	room := hostmachine.RoomIn(fs)
	free := room.Bytes
	c.OK, c.Detail = true, fmt.Sprintf("%s, %d MiB free", path, free>>20)
	switch {
	case fs.Type == unix.OVERLAYFS_SUPER_MAGIC:
		c.OK = false
		c.Detail = path + " is on an overlay file system, on which overlayfs cannot work (inside a container: mount a volume there)"
		c.Fix = "laterna up --data-dir DIR"
	case fs.Type == unix.NFS_SUPER_MAGIC:
		c.OK = false
		c.Detail = path + " is on NFS, on which neither overlayfs nor the store works"
		c.Fix = "laterna up --data-dir DIR"
	case reserve.Default(room).Short(room):
		c.OK, c.Detail, c.Fix = false, c.Detail+full(room), makeRoom
	case room.FewInodes():
		c.Required, c.OK = false, false
		c.Detail += fmt.Sprintf("; only %d more files can be made there (inodes)", room.Inodes)
	case free < least:
		c.Required, c.OK = false, false
		c.Detail += "; images may not fit"
	}
	return c
}

// storeTimeout bounds how long a system that runs is asked about its store.
const storeTimeout = 5 * time.Second

// store tells of objects that a running system cannot read.
func store(ctx context.Context, cfg Config) Check {
	c := Check{Name: "store", OK: true, Detail: "nothing is known to be damaged"}
	if cfg.Damaged == nil || cfg.Dir.Owner() == 0 {
		c.Detail = "is looked at while the system runs"
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	objects, err := cfg.Damaged(ctx)
	switch {
	case err != nil:
		c.OK, c.Detail = false, err.Error()
	case len(objects) > 0:
		first := objects[0]
		c.OK, c.Detail = false, first.String()+" cannot be read"
		if more := len(objects) - 1; more > 0 {
			c.Detail += fmt.Sprintf(", nor can %d more, which `laterna status` names", more)
		}
		if first.Delete != "" {
			c.Fix = "kubectl delete --raw '" + first.Delete + "'"
		}
	}
	return c
}

func forwarding(ctx context.Context, bridgeName string) Check {
	c := Check{Name: "forwarding", OK: true, Detail: "packets of pods are let through"}
	if d := bridge.ForwardDropped(ctx, bridgeName); d != nil {
		c.OK, c.Detail, c.Fix = false, d.Reason, d.Fix
	}
	return c
}
