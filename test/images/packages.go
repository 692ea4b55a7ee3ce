package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages finds files of Debian packages: in packages unpacked into dir, else on this
// machine.
type packages struct {
	dir   string
	roots []string
}

func newPackages(dir string) *packages {
	return &packages{dir: dir, roots: []string{filepath.Join(dir, "root"), "/"}}
}

// find returns where the first of some paths is, or "" when none exists.
func (p *packages) find(paths ...string) string {
	for _, path := range paths {
		for _, root := range p.roots {
			full := filepath.Join(root, path)
			if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
				return full
			}
		}
	}
	return ""
}

// program returns where a program is. When it is not there, the packages that may hold
// it are fetched one after the other, with the libraries that they name.
func (p *packages) program(ctx context.Context, name string, from ...string) (string, error) {
	var paths []string
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	var errs []error
	for _, pkg := range append([]string{""}, from...) {
		if pkg != "" {
			errs = append(errs, p.fetch(ctx, pkg))
		}
		if path := p.find(paths...); path != "" {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is in none of the packages %s: %w", name, strings.Join(from, ", "), errors.Join(errs...))
}

// fetch downloads a package and its libraries and unpacks them.
func (p *packages) fetch(ctx context.Context, pkg string) error {
	wanted, err := libraries(ctx, pkg)
	if err != nil {
		return err
	}
	debs, root := filepath.Join(p.dir, "debs"), p.roots[0]
	for _, dir := range []string{debs, root} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-qq"}, wanted...)...)
	cmd.Dir = debs
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("downloading %s: %w: %s (is there a network, and is `apt-get update` run?)", pkg, err, bytes.TrimSpace(out))
	}
	for _, name := range wanted {
		files, err := filepath.Glob(filepath.Join(debs, name+"_*.deb"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("downloading %s: %w", name, fs.ErrNotExist)
		}
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", files[len(files)-1], root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w: %s", name, err, out)
		}
	}
	return nil
}

// libraries returns the package and the packages of libraries that it depends on. The
// C library is left out: every machine has it.
func libraries(ctx context.Context, pkg string) ([]string, error) {
	all := []string{pkg}
	for i := 0; i < len(all); i++ {
		out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--no-recommends", "--no-suggests",
			"--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", all[i]).Output()
		if err != nil {
			return nil, fmt.Errorf("asking what %s depends on: %w", all[i], err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			_, name, ok := strings.Cut(strings.TrimSpace(lines.Text()), "Depends: ")
			if ok && isLibrary(name) && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all, nil
}

func isLibrary(name string) bool {
	base := strings.HasPrefix(name, "libc6") || strings.HasPrefix(name, "libgcc") || strings.HasPrefix(name, "libcrypt1")
	return !base && strings.HasPrefix(name, "lib")
}
