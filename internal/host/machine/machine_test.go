package machine

import (
	"runtime"
	"testing"
)

func TestParseMemInfo(t *testing.T) {
	got := parseMemInfo([]byte("MemTotal:       16384 kB\nMemAvailable:   8 kB\nHugePages_Total:       3\nodd\n"))
	if got["MemTotal"] != 16<<20 || got["MemAvailable"] != 8<<10 || len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestPrettyName(t *testing.T) {
	for in, want := range map[string]string{
		"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n": "Debian GNU/Linux 12 (bookworm)",
		"PRETTY_NAME=Alpine": "Alpine",
		"ID=x\n":             "Unknown",
	} {
		if got := prettyName([]byte(in)); got != want {
			t.Errorf("prettyName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestReadThisMachine(t *testing.T) {
	f, err := Read(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if f.CPUs != runtime.NumCPU() || f.Memory <= 0 || f.Disk <= 0 || f.BootID == "" || f.Kernel == "" || f.OSImage == "" {
		t.Errorf("facts %+v", f)
	}
	if _, err := DiskShort(t.TempDir()); err != nil {
		t.Error(err)
	}
	if left, all, known := MemoryLeft(); !known || left <= 0 || left > all || all != f.Memory {
		t.Errorf("memory: %d of %d, %v", left, all, known)
	}
	if left, all, known := PIDsLeft(); !known || left <= 0 || left >= all {
		t.Errorf("process numbers: %d of %d, %v", left, all, known)
	}
	if _, err := Read("/does/not/exist"); err == nil {
		t.Error("a missing directory was measured")
	}
}
