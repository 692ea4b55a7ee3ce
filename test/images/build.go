package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// archive is one file to build.
type archive struct {
	name   string // as pods write it
	layers []*layer
	config v1.Config
}

// file is the archive's name: public.ecr.aws/nginx/nginx:X.XX is in
// public.ecr.aws-nginx-nginx-X.XX.tar.
func (a archive) file() string {
	return strings.NewReplacer("/", "-", ":", "-").Replace(a.name) + ".tar"
}

// buildAll builds the archives into out unless they are there, made by this program
// from these inputs.
func buildAll(ctx context.Context, out string, own programs) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	own, err := own.find(ctx, out)
	if err != nil {
		return err
	}
	stamp, err := fingerprint(own)
	if err != nil {
		return err
	}
	if upToDate(out, stamp) {
		fmt.Println("images are up to date in", out)
		return nil
	}
	all, err := images(ctx, newPackages(filepath.Join(out, ".packages")), own)
	if err != nil {
		return err
	}
	if err := os.Remove(stampFile(out)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := []string{stamp}
	for _, a := range all {
		if err := a.write(filepath.Join(out, a.file())); err != nil {
			return fmt.Errorf("%s: %w", a.file(), err)
		}
		fmt.Printf("%s\t%s\n", filepath.Join(out, a.file()), a.name)
		lines = append(lines, a.file())
	}
	return os.WriteFile(stampFile(out), []byte(strings.Join(lines, "\n")), 0o644)
}

// stampFile holds the fingerprint and the names of the archives.
func stampFile(out string) string { return filepath.Join(out, ".stamp") }

func upToDate(out, stamp string) bool {
	raw, err := os.ReadFile(stampFile(out))
	lines := strings.Split(string(raw), "\n")
	if err != nil || lines[0] != stamp {
		return false
	}
	for _, file := range lines[1:] {
		if _, err := os.Stat(filepath.Join(out, file)); err != nil {
			return false
		}
	}
	return true
}

// fingerprint stands for this program and its inputs: the code (by the running
// binary), the version of the distribution, our own programs.
func fingerprint(own programs) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range []string{self, "/etc/os-release", own.kubectl, own.ambassador} {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", file, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// programs are where those of ours are that images have.
type programs struct{ kubectl, ambassador string }

// find returns the programs; those that are not where they are said to be are built.
func (p programs) find(ctx context.Context, out string) (programs, error) {
	for name, path := range map[string]*string{"kubectl": &p.kubectl, "ambassador": &p.ambassador} {
		if _, err := os.Stat(*path); err == nil {
			continue
		}
		*path = filepath.Join(out, "."+name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", *path, "laterna.dev/laterna/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("building %s: %w\n%s", name, err, text)
		}
	}
	return p, nil
}

// write puts the archive at path at once.
func (a archive) write(path string) error {
	img, err := a.image()
	if err != nil {
		return err
	}
	tag, err := name.NewTag(a.name)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := tarball.WriteToFile(tmp, tag, img); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func (a archive) image() (v1.Image, error) {
	img := empty.Image
	for _, l := range a.layers {
		content, err := l.bytes()
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(opener(content), tarball.WithCompressionLevel(fastest))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, a.config
	return mutate.ConfigFile(img, file)
}
