package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestResolversOfTheMachine(t *testing.T) {
	root := t.TempDir()
	if c := (machine{root: root}).resolvers(); c.OK || c.Required || c.Detail != "no nameserver in /etc/resolv.conf: pods resolve names of the cluster alone" {
		t.Errorf("without: %+v", c)
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc", "resolv.conf"), []byte("nameserver 192.0.2.1\nnameserver 192.0.2.2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if c := (machine{root: root}).resolvers(); !c.OK || c.Detail != "what is not of the cluster is asked of 192.0.2.1, 192.0.2.2" {
		t.Errorf("with two: %+v", c)
	}
}
