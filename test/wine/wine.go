package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// wine is an installation of Windows, made for this run.
type wine struct{ temp, prefix string }

// newWine makes the installation, which takes some seconds.
func newWine(ctx context.Context, temp string) (*wine, error) {
	w := &wine{temp: temp, prefix: filepath.Join(temp, "prefix")}
	if err := os.Mkdir(w.prefix, 0o700); err != nil {
		return nil, err
	}
	if out, err := w.command(ctx, "wine", "wineboot", "--init").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("making a Wine prefix: %w: %s", err, out), w.end())
	}
	if err := w.addRandom(); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// addRandom adds the library that Go's runtime takes random numbers from, where Wine
// has none (up to 8.12, so also Debian 12's).
func (w *wine) addRandom() error {
	dll := filepath.Join(w.prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(dll); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The same arguments and result, but for the width of the length.
	return os.WriteFile(dll, forwarder("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036"), 0o600)
}

// command runs a program of Wine's, without a display, without messages about what
// Wine lacks, and without asking for Mono and Gecko.
func (w *wine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "DISPLAY=") || strings.HasPrefix(v, "WAYLAND_DISPLAY=") || strings.HasPrefix(v, "WINE")
	})
	cmd.Env = append(cmd.Env, "WINEPREFIX="+w.prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=")
	// What a program leaves behind may keep its output open.
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// test compiles and runs the tests of one package.
func (w *wine) test(ctx context.Context, pkg string) error {
	program := filepath.Join(w.temp, "test.exe")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, pkg)
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling for windows/amd64: %w: %s", err, out)
	}
	dir, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	begin := time.Now()
	cmd := w.command(ctx, "wine", program, "-test.v")
	cmd.Dir = strings.TrimSpace(string(dir))
	out, err := cmd.CombinedOutput()
	passed := strings.Count(string(out), "\n--- PASS: ")
	if err != nil || passed == 0 || !strings.Contains(strings.ReplaceAll(string(out), "\r", ""), "\nPASS\n") {
		return fmt.Errorf("under Wine: %w: %s", errors.Join(err, ctx.Err()), out)
	}
	fmt.Printf("ok  \t%s\t%.3fs (windows/amd64 under Wine, %d tests)\n", pkg, time.Since(begin).Seconds(), passed)
	return nil
}

// end stops all processes of this installation, and of no other.
func (w *wine) end() error {
	// Also when the run was interrupted; it takes less than a second.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, how := range []string{"--kill", "--wait"} {
		out, err := w.command(ctx, "wineserver", how).CombinedOutput()
		if how == "--wait" && err != nil {
			return fmt.Errorf("ending Wine: %w: %s", err, out)
		}
	}
	return nil
}
