package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// build builds all archives, with a stand-in for our programs, which take long to build.
func build(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	kubectl := filepath.Join(out, "kubectl")
	if err := os.WriteFile(kubectl, []byte("#!/bin/sh\necho kubectl \"$@\"\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := buildAll(t.Context(), out, programs{kubectl, kubectl}); err != nil {
		t.Fatal(err)
	}
	return out
}

func sums(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tar"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][32]byte{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = sha256.Sum256(raw)
	}
	return all
}

func TestArchivesAreTheSameEveryTime(t *testing.T) {
	out := build(t)
	first := sums(t, out)
	if len(first) != 9 {
		t.Errorf("%d archives, want 9: %v", len(first), first)
	}
	if err := os.Remove(stampFile(out)); err != nil {
		t.Fatal(err)
	}
	if err := buildAll(t.Context(), out, programs{filepath.Join(out, "kubectl"), filepath.Join(out, "kubectl")}); err != nil {
		t.Fatal(err)
	}
	for file, sum := range sums(t, out) {
		if sum != first[file] {
			t.Errorf("%s differs", file)
		}
	}
}

func TestArchivesAreBuiltAgainOnlyWhenNeeded(t *testing.T) {
	out := build(t)
	file := filepath.Join(out, "busybox-1.28.tar")
	changed := func() bool {
		t.Helper()
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := buildAll(t.Context(), out, programs{filepath.Join(out, "kubectl"), filepath.Join(out, "kubectl")}); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return !os.SameFile(before, after)
	}
	if changed() {
		t.Error("archives were built again without need")
	}
	if err := os.Remove(filepath.Join(out, "nginx-alpine.tar")); err != nil {
		t.Fatal(err)
	}
	if !changed() {
		t.Error("a missing archive was not noticed")
	}
	if err := os.WriteFile(filepath.Join(out, "kubectl"), []byte("other"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !changed() {
		t.Error("another kubectl was not noticed")
	}
}

func TestLayerOrder(t *testing.T) {
	l := newLayer()
	l.file("b/file", 0o644, "x")
	l.hardlink("a/link", "b/file")
	l.link("c", "/b")
	l.dirOf("d/own", 0o700, 7)
	raw, err := l.bytes()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "d/own/" && h.Uid != 7 {
			t.Errorf("owner %d, want 7", h.Uid)
		}
		names = append(names, h.Name)
	}
	if got, want := strings.Join(names, " "), "a/ b/ b/file c d/ d/own/ a/link"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	l.copy("e", "/nonexistent")
	if _, err := l.bytes(); err == nil {
		t.Error("a file that is not there is no error")
	}
}

// TestImagesDoWhatDocumentsExpect runs each image with a script and looks at what it
// writes.
func TestImagesDoWhatDocumentsExpect(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	out := build(t)
	for file := range sums(t, out) {
		if _, err := m.Images.ImportFile(t.Context(), filepath.Join(out, file), ""); err != nil {
			t.Fatal(err)
		}
	}
	const gzip = `server { listen 127.0.0.1:18081; gzip on; location / { root /usr/share/nginx/html; } }`
	for _, test := range []struct {
		image   string
		command []string // nil runs what the image says
		env     []cri.EnvVar
		want    []string
	}{
		{image: "busybox:1.28", command: []string{"sh", "-c", "ls -lA /tmp && id -un && which vi wget nslookup"}, want: []string{"root", "/bin/vi", "/bin/wget"}},
		{image: "busybox", command: []string{"sh", "-c", "echo is $0"}, want: []string{"is sh"}},
		{image: "nginx", command: []string{"bash", "-c", "nginx -V 2>&1; nginx -t 2>&1; ls /etc/nginx/conf.d"}, want: []string{"http_ssl_module", "test is successful", "default.conf"}},
		{image: "public.ecr.aws/nginx/nginx:X.XX", command: []string{"nginx", "-v"}, want: []string{"nginx version"}},
		{image: "nginx:alpine", command: []string{"sh", "-c", "echo '" + gzip + "' >/etc/nginx/conf.d/default.conf; nginx; sleep 0.3; " +
			"wget -S -O /dev/null --header 'Accept-Encoding: gzip' http://127.0.0.1:18081/ 2>&1; " +
			"sed -i 's/gzip on/gzip off/' /etc/nginx/conf.d/default.conf; nginx -s reload; sleep 0.5; echo reloaded; " +
			"wget -S -O /dev/null --header 'Accept-Encoding: gzip' http://127.0.0.1:18081/ 2>&1; nginx -s stop; test ! -e /bin/bash && echo no bash"},
			want: []string{"Content-Encoding: gzip", "reloaded", "no bash"}},
		{image: "tutum/curl", command: []string{"bash", "-c", "curl --version; wc -l </etc/ssl/certs/ca-certificates.crt; getent hosts localhost; curl -sS https://127.0.0.1:1 2>&1"},
			want: []string{"curl 7", "localhost", "curl: (7)"}},
		{image: "luksa/fortune:env", env: []cri.EnvVar{{Name: "INTERVAL", Value: "1"}}, want: []string{"every 1 seconds", "Writing fortune to /var/htdocs/index.html"}},
		{image: "luksa/kubectl-proxy:1.6.2", env: []cri.EnvVar{{Name: "KUBERNETES_SERVICE_HOST", Value: "10.96.0.1"}, {Name: "KUBERNETES_SERVICE_PORT", Value: "443"}},
			want: []string{"kubectl proxy --server=https://10.96.0.1:443 --certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"}},
	} {
		t.Run(test.image, func(t *testing.T) {
			got := run(t, m, test.image, test.command, test.env, test.want)
			if test.image == "nginx:alpine" && strings.Contains(got[strings.Index(got, "reloaded"):], "gzip") {
				t.Errorf("still gzipped after the reload:\n%s", got)
			}
		})
	}
}

// run starts a container and returns its log once it holds all of want; it fails the
// test after 10 s.
func run(t *testing.T, m *runtimetest.Machine, image string, command []string, env []cri.EnvVar, want []string) string {
	t.Helper()
	name := strings.NewReplacer("/", "-", ":", "-", ".", "-").Replace(image)
	log := m.RunImage(t, name, image, command, env)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		raw, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		missing := ""
		for _, text := range want {
			if !bytes.Contains(raw, []byte(text)) {
				missing = text
			}
		}
		if missing == "" {
			return string(raw)
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not write %q, but:\n%s", image, missing, raw)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
