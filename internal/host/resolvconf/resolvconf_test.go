package resolvconf

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	got := Parse([]byte("# comment\nnameserver 192.0.2.53 # inline\nnameserver 192.0.2.54\nsearch old\nsearch a.example b.example\noptions ndots:2 rotate\nnonsense\n"))
	want := Config{
		Servers: []string{"192.0.2.53", "192.0.2.54"}, Searches: []string{"a.example", "b.example"}, Options: []string{"ndots:2", "rotate"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestOnlyLoopback(t *testing.T) {
	for conf, want := range map[string]bool{"nameserver 127.0.0.53": true, "nameserver ::1\nnameserver 127.0.0.1": true, "nameserver 127.0.0.53\nnameserver 192.0.2.1": false, "": false} {
		if got := Parse([]byte(conf)).OnlyLoopback(); got != want {
			t.Errorf("OnlyLoopback of %q is %v", conf, got)
		}
	}
}

func TestAStubIsReplacedByWhatIsBehindIt(t *testing.T) {
	for name, tt := range map[string]struct{ own, behind, want string }{
		"servers of others": {"nameserver 192.0.2.1", "nameserver 192.0.2.2", "192.0.2.1"},
		"a stub":            {"nameserver 127.0.0.53", "nameserver 192.0.2.2", "192.0.2.2"},
		"a stub alone":      {"nameserver 127.0.0.53", "", "127.0.0.53"},
	} {
		root := t.TempDir()
		for file, content := range map[string]string{"etc/resolv.conf": tt.own, "run/systemd/resolve/resolv.conf": tt.behind} {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if content == "" {
				continue
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := Read(root).Servers; !reflect.DeepEqual(got, []string{tt.want}) {
			t.Errorf("%s: %q, want %s", name, got, tt.want)
		}
	}
	if got := Read(t.TempDir()); !reflect.DeepEqual(got, Config{}) {
		t.Errorf("without a file: %+v", got)
	}
}

func TestUpstreams(t *testing.T) {
	own := netip.MustParseAddr("10.244.0.1")
	got := Config{Servers: []string{"nonsense", "10.244.0.1", "0.0.0.0", "192.0.2.1", "fe80::1%eth0", "127.0.0.1", "192.0.2.4"}}.Upstreams(own)
	want := []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[fe80::1%eth0]:53"), netip.MustParseAddrPort("127.0.0.1:53"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
