package bridge

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/datadir"
)

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// connect makes the link of a pod and what the CNI library remembers of it.
func connect(t *testing.T, dir datadir.Dir, id, mac string) (port string) {
	t.Helper()
	port = "veth" + dir.Hash[:6] + id
	ip(t, "link", "add", port, "type", "veth", "peer", "name", "p"+port)
	t.Cleanup(func() { exec.Command("ip", "link", "del", port).Run() })
	// Annotations are in it, of up to 256 KiB, quoted more than once.
	raw, err := json.Marshal(map[string]any{"config": make([]byte, 2<<20), "result": map[string]any{"interfaces": []map[string]string{
		{"name": dir.Bridge(), "mac": mac}, {"name": port, "mac": "9e:93:52:c2:19:8c"}, {"name": "eth0", "sandbox": "/run/netns/x"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cacheDir, dir.Bridge()+"-"+id+"-eth0"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return port
}

// shows is what the machine says of the bridge and a port.
func shows(t *testing.T, bridge, port string) string {
	t.Helper()
	out, _ := exec.Command("ip", "-d", "-o", "addr", "show", "dev", bridge).CombinedOutput()
	more, _ := exec.Command("ip", "-d", "-o", "link", "show", "dev", port).CombinedOutput()
	return string(out) + string(more)
}

func TestBrokenBridgeIsRepairedWithItsPods(t *testing.T) {
	dir := testDir(t)
	n, err := Setup(dir, netip.MustParsePrefix("198.18.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	reader := NewPortReader(dir)
	if did, err := n.Repair(reader); did != "" || err != nil {
		t.Errorf("before the first pod: %q, %v", did, err)
	}
	const mac = "52:7b:65:e6:17:56"
	a, b := connect(t, dir, "1", mac), connect(t, dir, "2", mac)
	for _, test := range []struct {
		name   string
		broken []string
		did    string
	}{
		{"removed", nil, "made the bridge again, connected 2 pods to it"},
		{"intact", nil, ""},
		{"removed once more", []string{"link", "del", n.Bridge}, "made the bridge again, connected 2 pods to it"},
		{"down", []string{"link", "set", n.Bridge, "down"}, "set the bridge up"},
		{"without address", []string{"addr", "flush", "dev", n.Bridge}, "gave the bridge its address again"},
		{"a pod taken off", []string{"link", "set", a, "nomaster"}, "connected 1 pods to it"},
	} {
		if test.broken != nil {
			ip(t, test.broken...)
		}
		if did, err := n.Repair(reader); did != test.did || err != nil {
			t.Errorf("%s: %q, %v; want %q", test.name, did, err, test.did)
		}
		link, err := net.InterfaceByName(n.Bridge)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if link.Flags&net.FlagUp == 0 || link.HardwareAddr.String() != mac {
			t.Errorf("%s: %v, address %s", test.name, link.Flags, link.HardwareAddr)
		}
		for _, port := range []string{a, b} {
			if out := shows(t, n.Bridge, port); !strings.Contains(out, n.Gateway.String()+"/24") || !strings.Contains(out, "master "+n.Bridge) || !strings.Contains(out, "hairpin on") {
				t.Errorf("%s: %s", test.name, out)
			}
		}
	}
}
