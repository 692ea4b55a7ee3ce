package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/etcd/damaged"
	"laterna.dev/laterna/internal/host/rtnl"
)

func config(t *testing.T) Config {
	t.Helper()
	dir, err := datadir.Locate(filepath.Join(t.TempDir(), "not", "there"))
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir: dir, Listen: "127.0.0.1:0",
		PodNetwork: netip.MustParsePrefix("10.244.0.0/16"), ServiceRange: netip.MustParsePrefix("10.96.0.0/16"),
	}
}

func named(t *testing.T, checks []Check, name string) Check {
	t.Helper()
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check named %s in %+v", name, checks)
	return Check{}
}

// The machine that runs the tests runs pods in other tests, so it must pass.
func TestThisMachinePasses(t *testing.T) {
	cfg := config(t)
	checks := Checks(t.Context(), cfg)
	for _, c := range checks {
		if c.Required && !c.OK {
			t.Errorf("%s: %s (fix: %s)", c.Name, c.Detail, c.Fix)
		}
		if c.Name == "" || c.Detail == "" || c.OK && c.Fix != "" {
			t.Errorf("check lacks something, or mends what is well: %+v", c)
		}
	}
	if !OK(checks) {
		t.Error("OK is false")
	}
	if _, err := os.Stat(cfg.Dir.Path); err == nil {
		t.Error("looking made the data directory")
	}
}

func TestOnlyRequiredChecksDecide(t *testing.T) {
	if OK([]Check{{Required: true}}) || !OK([]Check{{Required: false}, {Required: true, OK: true}}) {
		t.Error("OK does not look at required checks only")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t)
	cfg.Listen = l.Addr().String()
	c := named(t, Checks(context.Background(), cfg), "port")
	if c.OK || !strings.Contains(c.Detail, "in use") || !strings.Contains(c.Fix, "--listen") {
		t.Errorf("got %+v", c)
	}
}

func TestPortOfARunningSystem(t *testing.T) {
	cfg := config(t)
	var err error
	if cfg.Dir, err = datadir.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(cfg.Dir.RunDir)
	release, err := cfg.Dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if c := port(t.Context(), cfg); !c.OK || !strings.Contains(c.Detail, "runs already") {
		t.Errorf("got %+v", c)
	}
}

func TestOverlapLeavesOutTheDefaultRoute(t *testing.T) {
	services := netip.MustParsePrefix("10.96.0.0/16")
	routes := []rtnl.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0")}, {Dst: netip.MustParsePrefix("192.168.0.0/16")}}
	if got, ok := overlap(routes, services); ok {
		t.Errorf("got %v", got)
	}
	vpn := netip.MustParsePrefix("10.0.0.0/8")
	if got, ok := overlap(append(routes, rtnl.Route{Dst: vpn}), services); !ok || got != vpn {
		t.Errorf("got %v, %v; want %v", got, ok, vpn)
	}
}

// fake is a machine with the given files.
func fake(t *testing.T, files map[string]string) machine {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return machine{root}
}

func TestKernelFeature(t *testing.T) {
	modules := filepath.Join("lib/modules", release())
	for name, test := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"loaded":     {map[string]string{"sys/module/overlay/refcnt": "1"}, true},
		"filesystem": {map[string]string{"proc/filesystems": "nodev\ttmpfs\nnodev\toverlay\n"}, true},
		"built in":   {map[string]string{filepath.Join(modules, "modules.builtin"): "kernel/fs/overlayfs/overlay.ko\n"}, true},
		"loadable":   {map[string]string{filepath.Join(modules, "modules.dep"): "kernel/fs/overlayfs/overlay.ko.xz: \n"}, true},
		"absent":     {map[string]string{"proc/filesystems": "nodev\ttmpfs\n", filepath.Join(modules, "modules.dep"): "kernel/fs/my_overlay2.ko:\n"}, false},
	} {
		c := fake(t, test.files).kernelFeature("overlayfs", "overlay", "why")
		if c.OK != test.want || (c.Fix == "modprobe overlay") == test.want {
			t.Errorf("%s: %+v, want OK %v", name, c, test.want)
		}
	}
}

func TestInotifyLimits(t *testing.T) {
	limits := func(instances, watches string) map[string]string {
		return map[string]string{"proc/sys/fs/inotify/max_user_instances": instances, "proc/sys/fs/inotify/max_user_watches": watches}
	}
	for _, test := range []struct {
		files map[string]string
		ok    bool
		fix   string
	}{
		{limits("128\n", "65536\n"), true, ""},
		{limits("64\n", "65536\n"), false, "sysctl -w fs.inotify.max_user_instances=128"},
		{limits("64\n", "1\n"), false, "sysctl -w fs.inotify.max_user_instances=128; sysctl -w fs.inotify.max_user_watches=8192"},
		{limits("many", "1"), false, ""},
		{nil, false, ""},
	} {
		if c := fake(t, test.files).inotify(); c.OK != test.ok || c.Fix != test.fix || c.Detail == "" {
			t.Errorf("%v: got %+v", test.files, c)
		}
	}
}

func TestSwapMattersOnOldKernels(t *testing.T) {
	const header = "Filename\tType\tSize\tUsed\tPriority\n"
	if c := fake(t, map[string]string{"proc/swaps": header}).swap(); !c.OK || c.Detail != "no swap" {
		t.Errorf("without swap: %+v", c)
	}
	if c := fake(t, map[string]string{"proc/swaps": header + "/dev/sda2 partition 1 0 -2\n"}).swap(); c.OK != atLeast(release(), 6, 4) {
		t.Errorf("with swap on kernel %s: %+v", release(), c)
	}
	for release, want := range map[string]bool{"6.4.0": true, "6.18.44-x": true, "7.0": true, "6.1.0-18-amd64": false, "5.15.0": false, "odd": false} {
		if got := atLeast(release, 6, 4); got != want {
			t.Errorf("atLeast(%s, 6, 4) = %v", release, got)
		}
	}
}

func TestDataDirectoryNeedNotExist(t *testing.T) {
	if c := dataDirectory(filepath.Join(t.TempDir(), "a", "b")); !c.OK || !strings.Contains(c.Detail, "MiB free") {
		t.Errorf("a directory that is not there yet: %+v", c)
	}
}

func TestFullDataDirectoryIsTold(t *testing.T) {
	for _, test := range []struct {
		name, options string
		files         int
		size          int
		want          string
	}{
		{"no inodes", "size=64m,nr_inodes=20", 19, 0, "only 0 more files can be made there (inodes)"},
		{"no bytes", "size=2m,nr_inodes=1000", 1, 2 << 20, "the disk is full, pods cannot write"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, test.options); err != nil {
				t.Fatalf("mounting a tmpfs (the test needs root): %v", err)
			}
			defer func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			}()
			for i := range test.files {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, test.size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c := dataDirectory(dir); c.OK || !c.Required || !strings.Contains(c.Detail, test.want) {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestStoreOfARunningSystem(t *testing.T) {
	cfg := config(t)
	asked := func(objects []damaged.Object, err error) Check {
		cfg.Damaged = func(context.Context) ([]damaged.Object, error) { return objects, err }
		return store(t.Context(), cfg)
	}
	if c := asked(nil, errors.New("must not be asked")); !c.OK || c.Detail != "is looked at while the system runs" {
		t.Errorf("stopped: %+v", c)
	}
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	release, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	cfg.Dir = dir
	if c := asked(nil, nil); !c.OK {
		t.Errorf("whole: %+v", c)
	}
	two := []damaged.Object{{Resource: "secrets", Namespace: "a", Name: "x", Delete: "/x"}, {Resource: "nodes", Name: "y"}}
	if c := asked(two, nil); c.OK || c.Required || c.Detail != "secrets/x in namespace a cannot be read, nor can 1 more, which `laterna status` names" || c.Fix != "kubectl delete --raw '/x'" {
		t.Errorf("damaged: %+v", c)
	}
	if c := asked(nil, errors.New("no answer")); c.OK || c.Detail != "no answer" {
		t.Errorf("silent: %+v", c)
	}
}
