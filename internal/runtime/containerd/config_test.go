package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/replace"
)

func testSettings(v string) settings {
	parsed, err := parseVersion("containerd github.com/containerd/containerd " + v + " abc")
	if err != nil {
		panic(err)
	}
	return settings{
		version: parsed, programs: Programs{Containerd: "/c", Shim: "/s", Runc: "/usr/sbin/runc", CNI: "/usr/lib/cni"},
		root: "/data/containerd", state: "/run/x/containerd", socket: "/run/x/containerd.sock", runcRoot: "/run/x/runc",
		sandboxImage: "laterna.dev/pause:1", cniConfDir: "/run/x/cni", driver: cgroups.Cgroupfs,
	}
}

func TestRenderByVersion(t *testing.T) {
	systemd := testSettings("v2.1.4")
	systemd.driver, systemd.raiseOOM = cgroups.Systemd, true
	for name, test := range map[string]struct {
		settings     settings
		want, absent []string
	}{
		"containerd 1": {testSettings("1.6.20~ds1"), []string{
			"version = 2\n", `root = "/data/containerd"`, `state = "/run/x/containerd"`,
			"[\"plugins\".\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"laterna.dev/pause:1\"\nrestrict_oom_score_adj = true\n",
			`bin_dir = "/usr/lib/cni"`, "SystemdCgroup = false", `Root = "/run/x/runc"`, `BinaryName = "/usr/sbin/runc"`,
		}, []string{"io.containerd.cri.v1", "oom_score =", "bin_dirs"}},
		"containerd 2.0": {testSettings("v2.0.0"), []string{
			"version = 3\n", "[\"plugins\".\"io.containerd.cri.v1.images\".\"pinned_images\"]\nsandbox = \"laterna.dev/pause:1\"\n",
			`bin_dir = "/usr/lib/cni"`,
		}, []string{"sandbox_image", "bin_dirs"}},
		"containerd 2.1": {systemd, []string{
			`bin_dirs = ["/usr/lib/cni"]`, "SystemdCgroup = true", "restrict_oom_score_adj = false", "oom_score = -999",
		}, []string{"bin_dir ="}},
	} {
		got := test.settings.render()
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: configuration lacks %q:\n%s", name, want, got)
			}
		}
		for _, absent := range test.absent {
			if strings.Contains(got, absent) {
				t.Errorf("%s: configuration has %q:\n%s", name, absent, got)
			}
		}
	}
}

func TestRenderQuotesPaths(t *testing.T) {
	s := testSettings("1.7.0")
	s.root = "/data/with \"quotes\"\nand\tmore"
	if got := s.render(); !strings.Contains(got, `root = "/data/with \"quotes\"\nand\tmore"`) {
		t.Errorf("configuration:\n%s", got)
	}
}

func TestDigestFollowsConfigurationAndProgram(t *testing.T) {
	a := testSettings("1.6.20")
	b := a
	if a.digest() != b.digest() {
		t.Error("equal settings have different digests")
	}
	b.sandboxImage = "other"
	c := a
	c.version.File = "upgraded"
	if a.digest() == b.digest() || a.digest() == c.digest() {
		t.Error("different settings have one digest")
	}
}

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]version{
		"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3": {Major: 1, Minor: 6, Text: "1.6.20~ds1"},
		"containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4":          {Major: 2, Minor: 1, Text: "2.1.4"},
		"containerd containerd.io 1.7.27 05044ec":                                     {Major: 1, Minor: 7, Text: "1.7.27"},
		"containerd github.com/containerd/containerd/v2 2.0.0-rc.1 abc":               {Major: 2, Minor: 0, Text: "2.0.0-rc.1"},
	} {
		if got, err := parseVersion(out); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", out, got, err, want)
		}
	}
	for _, out := range []string{"", "containerd", "usage: containerd [options]"} {
		if got, err := parseVersion(out); err == nil {
			t.Errorf("%q: got %+v, want an error", out, got)
		}
	}
}

func TestVersionsThatLoseOutputAreKnown(t *testing.T) {
	for text, want := range map[string]bool{
		"1.5.18": true, "1.6.0": true, "1.6.20~ds1": true, "1.6.21": true, "1.6.22": false, "1.6.36-rc.1": false,
		"1.7.2": true, "1.7.3": false, "1.7.24~ds1": false, "1.6.x": true, "2.0.4": false, "1.8.0": false,
	} {
		v, err := parseVersion("containerd x " + text)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.losesOutput(); got != want {
			t.Errorf("%s loses output: %t, want %t", text, got, want)
		}
	}
}

func TestVersionIsAskedAgainAfterAnUpgrade(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "containerd")
	install := func(v string) {
		t.Helper()
		script := "#!/bin/sh\necho x >>" + dir + "/asked\necho containerd x " + v + " y\n"
		if err := replace.Unsynced(program, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	asked := func() int {
		raw, _ := os.ReadFile(filepath.Join(dir, "asked"))
		return strings.Count(string(raw), "x")
	}
	install("1.6.20")
	for range 2 {
		v, err := findVersion(t.Context(), program, dir)
		if err != nil || v.Minor != 6 {
			t.Fatalf("got %+v, %v", v, err)
		}
	}
	if asked() != 1 {
		t.Errorf("the program was asked %d times, want once", asked())
	}
	install("2.1.0")
	if v, err := findVersion(t.Context(), program, dir); err != nil || v.Major != 2 {
		t.Errorf("after the upgrade: %+v, %v", v, err)
	}
}

func TestMissingErrorNamesTheCommand(t *testing.T) {
	var e MissingError
	e.add("containerd", "containerd")
	e.add("containerd-shim-runc-v2", "containerd")
	e.add("runc", "runc")
	want := "not found: containerd, containerd-shim-runc-v2, runc (install with: apt-get install --no-remove --no-install-recommends containerd runc)"
	if e.Error() != want {
		t.Errorf("got  %s\nwant %s", e.Error(), want)
	}
}

func TestFindPluginsWantsAllInOneDirectory(t *testing.T) {
	some, all := t.TempDir(), t.TempDir()
	put := func(dir, name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range Plugins {
		put(all, name)
	}
	put(some, Plugins[0])
	t.Setenv("CNI_PATH", some+":"+all)
	var missing MissingError
	if got := findPlugins(&missing); got != all || len(missing.Programs) > 0 {
		t.Errorf("got %s, missing %v; want %s", got, missing.Programs, all)
	}
}

func TestLogIsPutAsideWhenLarge(t *testing.T) {
	d := New(Config{Root: t.TempDir()})
	if err := os.WriteFile(d.logFile(), make([]byte, logLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f, err := d.openLog()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	raw, err := os.ReadFile(d.logFile())
	if err != nil || string(raw) != "line\nline\n" {
		t.Errorf("log %q, %v", raw, err)
	}
	if info, err := os.Stat(d.logFile() + ".old"); err != nil || info.Size() != logLimit+1 {
		t.Errorf("old log: %v, %v", info, err)
	}
	if got := tail(d.logFile(), 7); got != "e\nline" {
		t.Errorf("tail %q", got)
	}
}
