package resident

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// constants is data of the program's file that is not used elsewhere.
const constants = "some text in the program's constants"

var changed = 1 // in a writable mapping

func TestReleaseShrinksAndChangesNothing(t *testing.T) {
	changed = 2
	garbage := make([][]byte, 0, 64)
	for range cap(garbage) {
		garbage = append(garbage, []byte(strings.Repeat("garbage", 1<<16)))
	}
	before := resident(t, "VmRSS:")
	runtime.KeepAlive(garbage)
	for range 2 {
		if err := Release(); err != nil {
			t.Fatal(err)
		}
	}
	if after := resident(t, "VmRSS:"); after > before-20<<10 {
		t.Errorf("%d kB were resident, then %d kB", before, after)
	}
	if changed != 2 {
		t.Errorf("a variable went back to %d", changed)
	}
	if !regexp.MustCompile(`^some text`).MatchString(fmt.Sprint(constants)) {
		t.Error("constants are gone")
	}
}

func TestReleaseDropsCode(t *testing.T) {
	before := resident(t, "RssFile:")
	if err := Release(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t, "RssFile:"); after >= before {
		t.Errorf("%d kB of files were resident, then %d kB", before, after)
	}
}

func resident(t *testing.T, key string) (kb int) {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			if _, err := fmt.Sscanf(rest, "%d kB", &kb); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kb
}

func TestOnlyConstantMappingsOfTheFileAreDropped(t *testing.T) {
	const maps = `00400000-02aa3000 r-xp 00000000 fe:00 9978835   /opt/my programs/laterna
02aa3000-05a68000 r--p 026a3000 fe:00 9978835   /opt/my programs/laterna
05a68000-05b51000 rw-p 05668000 fe:00 9978835   /opt/my programs/laterna
05b51000-07ba5000 rw-p 00000000 00:00 0
06000000-06001000 r--p 00000000 fe:00 11        /usr/lib/libc.so.6
06001000-06002000 r--s 00000000 fe:00 12        /opt/my programs/laterna
06002000-06003000 r--p 00000000 fe:00 13        /opt/my programs/laterna.db
06003000-06003000 r--p 00000000 fe:00 13        /opt/my programs/laterna
nonsense
7ffd0000-7ffd1000 r-xp 00000000 00:00 0         [vdso]
`
	want := []mapping{{0x400000, 0x2aa3000}, {0x2aa3000, 0x5a68000}}
	if got := constant([]byte(maps), "/opt/my programs/laterna"); !reflect.DeepEqual(got, want) {
		t.Errorf("dropped %x, want %x", got, want)
	}
	if got := constant([]byte(maps), "/elsewhere"); got != nil {
		t.Errorf("dropped %x of another file", got)
	}
}
