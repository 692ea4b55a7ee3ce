package cli

import (
	"testing"

	"laterna.dev/laterna/internal/runtime/images"
)

func TestProgressOfAnImportIsOneLine(t *testing.T) {
	for want, p := range map[string]images.Progress{
		"\r\x1b[Kimporting busybox:1.28: 0 B of 2.0 MiB":                          {Image: "docker.io/library/busybox:1.28", Number: 1, Count: 1, Total: 2 << 20},
		"\r\x1b[Kimporting r.example/a:1 (2 of 3): 1.0 MiB of 2.0 MiB, unpacking": {Image: "r.example/a:1", Number: 2, Count: 3, Done: 1 << 20, Total: 2 << 20, Unpacking: true},
	} {
		if got := progressLine(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
