package bridge

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// TestPortsAreThoseOfSandboxesWhoseLinksAreThere reads what containerd has the CNI library
// remember, of a sandbox that is there and of one that a restart of the machine has ended.
func TestPortsAreThoseOfSandboxesWhoseLinksAreThere(t *testing.T) {
	dir := testDir(t)
	port := "veth" + dir.Hash[:6] + "p"
	ip(t, "link", "add", port, "type", "veth", "peer", "name", "p"+port)
	t.Cleanup(func() { exec.Command("ip", "link", "del", port).Run() })
	remember := func(id, link, capabilities string) {
		t.Helper()
		text := fmt.Sprintf(`{"containerId":%q,"capabilityArgs":{%s},"result":{
			"interfaces":[{"name":%q,"mac":"52:7b:65:e6:17:56"},{"name":%q},{"name":"eth0","mac":"9e:93:52:c2:19:8c","sandbox":"/run/netns/x"}],
			"ips":[{"address":"10.244.0.9/24","interface":2}]}}`, id, capabilities, dir.Bridge(), link)
		if err := os.MkdirAll(cacheDir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cacheDir, dir.Bridge()+"-"+id+"-eth0"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const mappings = `"portMappings":[{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":""},{"HostPort":53,"ContainerPort":5353,"Protocol":"udp","HostIP":"127.0.0.1"}]`
	reader := NewPortReader(dir)
	remember("none", port, `"dns":{"Servers":["192.0.2.1"]}`)
	if got, err := reader.Published(); len(got) > 0 || err != nil {
		t.Errorf("without ports: %+v, %v", got, err)
	}
	remember("gone", "vethgone0000000", mappings)
	if got, err := reader.Published(); len(got) > 0 || err != nil {
		t.Errorf("without its link: %+v, %v", got, err)
	}
	remember("here", port, mappings)
	got, err := reader.Published()
	want := []Published{{"here", netip.MustParseAddr("10.244.0.9"), []PortMapping{{8080, 80, "tcp", ""}, {53, 5353, "udp", "127.0.0.1"}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
