package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestImportOfSeveralImagesShowsProgressOnATerminalOnly imports one archive with three
// images, once by a terminal and once by a pipe.
func TestImportOfSeveralImagesShowsProgressOnATerminalOnly(t *testing.T) {
	t.Parallel()
	base, err := tarball.ImageFromPath(filepath.Join(imageDir, "busybox-1.28.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[name.Tag]v1.Image{}
	for i := range 3 {
		tag, err := name.NewTag(fmt.Sprintf("example.org/progress/of-%d:1", i))
		if err != nil {
			t.Fatal(err)
		}
		if all[tag], err = mutate.Config(base, v1.Config{Env: []string{fmt.Sprint("NUMBER=", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "three.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := tarball.MultiWrite(all, file); err != nil {
		t.Fatal(err)
	}
	remove := "laterna image rm --data-dir " + shared.Dir + " example.org/progress/of-0:1 example.org/progress/of-1:1 example.org/progress/of-2:1"
	t.Cleanup(func() { _ = shared.command(t, "bash", "-c", remove).Run() })
	shown := shared.sh(t, `script -qec "laterna image import --data-dir `+shared.Dir+` `+file.Name()+`" /dev/null`)
	contains(t, shown, "\r\x1b[Kimporting example.org/progress/of-", "(1 of 3): ", "(2 of 3): ", "(3 of 3): ", "imported example.org/progress/of-2:1")
	if !strings.HasSuffix(strings.TrimSpace(shown[strings.LastIndex(shown, "\x1b[K"):]), ":1") {
		t.Errorf("the line of the progress is left on the terminal: %q", shown)
	}
	shared.sh(t, remove)
	piped := shared.sh(t, "laterna image import --data-dir "+shared.Dir+" "+file.Name()+" 2>&1 | cat")
	if strings.Contains(piped, "\x1b") || strings.Contains(piped, "importing") || strings.Count(piped, "imported example.org/progress/of-") != 3 {
		t.Errorf("into a pipe: %q", piped)
	}
}
