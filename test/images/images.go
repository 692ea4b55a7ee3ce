package main

import (
	"context"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
)

const (
	searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	nginxUser  = 101
	nobody     = "65532:65532"
)

// The files that no package has.
var (
	//go:embed files/nginx.conf
	nginxConf string
	//go:embed files/default.conf
	nginxDefault string
	//go:embed files/index.html
	nginxIndex string
	//go:embed files/50x.html
	nginxError string
	//go:embed files/docker-entrypoint.sh
	entrypoint string
	//go:embed files/fortune
	fortune string
	//go:embed files/fortuneloop.sh
	fortuneLoop string
	//go:embed files/kubectl-proxy.sh
	kubectlProxy string
)

// images describes all archives. The base layer with busybox is the same in all, so a
// runtime stores and unpacks it once.
func images(ctx context.Context, p *packages, own programs) ([]archive, error) {
	base, err := busyboxLayer(ctx, p)
	if err != nil {
		return nil, err
	}
	nginx, err := nginxLayer(ctx, p)
	if err != nil {
		return nil, err
	}
	bash, err := bashLayer(ctx, p)
	if err != nil {
		return nil, err
	}
	curl, err := curlLayer(ctx, p)
	if err != nil {
		return nil, err
	}
	web := v1.Config{
		Env: []string{searchPath}, Entrypoint: []string{"/docker-entrypoint.sh"}, Cmd: []string{"nginx", "-g", "daemon off;"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}}, StopSignal: "SIGQUIT",
	}
	shell := func(cmd ...string) v1.Config { return v1.Config{Env: []string{searchPath}, Cmd: cmd} }
	run := func(program string) v1.Config {
		return v1.Config{Env: []string{searchPath}, Entrypoint: []string{program}}
	}
	return []archive{
		{"busybox:1.28", []*layer{base}, shell("sh")},
		{"busybox", []*layer{base}, shell("sh")},
		{"nginx", []*layer{base, nginx, bash}, web},
		{"public.ecr.aws/nginx/nginx:X.XX", []*layer{base, nginx, bash}, web},
		{"nginx:alpine", []*layer{base, nginx}, web},
		{"tutum/curl", []*layer{base, bash, curl}, shell("/bin/bash")},
		{"luksa/fortune:env", []*layer{base, fortuneLayer()}, run("/bin/fortuneloop.sh")},
		{"laterna.dev/ambassador", []*layer{ambassadorLayer(own.ambassador)}, v1.Config{
			Entrypoint: []string{"/ambassador"}, User: nobody, ExposedPorts: map[string]struct{}{"8001/tcp": {}}}},
		{"luksa/kubectl-proxy:1.6.2", []*layer{base, proxyLayer(own.kubectl)}, run("/kubectl-proxy.sh")},
	}, nil
}

// busyboxLayer is a file system with all of busybox's programs, users and the usual
// directories.
func busyboxLayer(ctx context.Context, p *packages) (*layer, error) {
	program, err := staticBusybox(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("asking busybox what it can do: %w", err)
	}
	l := newLayer()
	l.copy("bin/busybox", program)
	// A shell in a container must not find its host's package manager in busybox.
	for _, name := range slices.DeleteFunc(strings.Fields(string(out)), func(n string) bool {
		return n == "busybox" || strings.HasPrefix(n, "dpkg") || strings.HasPrefix(n, "rpm")
	}) {
		l.hardlink("bin/"+name, "bin/busybox")
	}
	for _, dir := range []string{"dev", "etc", "home", "proc", "sys", "usr/bin", "usr/sbin", "var/spool/mail", "run"} {
		l.dir(dir, 0o755)
	}
	l.dir("root", 0o700)
	l.dir("tmp", 0o1777)
	l.dir("var/tmp", 0o1777)
	l.link("var/run", "/run")
	l.file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"+
		"nginx:x:101:101:nginx:/nonexistent:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n")
	l.file("etc/group", 0o644, "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnginx:x:101:\nnogroup:x:65534:\n")
	l.file("etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n")
	return l, nil
}

// staticBusybox is a busybox without libraries: package busybox has another.
func staticBusybox(ctx context.Context, p *packages) (string, error) {
	path, err := p.program(ctx, "busybox", "busybox-static")
	if err != nil || isStatic(path) {
		return path, err
	}
	if err := p.fetch(ctx, "busybox-static"); err != nil {
		return "", err
	}
	if path, err = p.program(ctx, "busybox"); err == nil && !isStatic(path) {
		err = fmt.Errorf("%s is not static", path)
	}
	return path, err
}

func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return interpreterOf(f) == ""
}

// nginxLayer is nginx with the layout that its official images have.
func nginxLayer(ctx context.Context, p *packages) (*layer, error) {
	program, err := p.program(ctx, "nginx", "nginx", "nginx-core", "nginx-light")
	if err != nil {
		return nil, err
	}
	types := p.find("/etc/nginx/mime.types")
	if types == "" {
		if err := p.fetch(ctx, "nginx-common"); err != nil {
			return nil, err
		}
		types = p.find("/etc/nginx/mime.types")
	}
	l := newLayer()
	l.addProgram(p, "usr/sbin/nginx", program)
	l.copy("etc/nginx/mime.types", types)
	l.file("etc/nginx/nginx.conf", 0o644, nginxConf)
	l.file("etc/nginx/conf.d/default.conf", 0o644, nginxDefault)
	l.file("usr/share/nginx/html/index.html", 0o644, nginxIndex)
	l.file("usr/share/nginx/html/50x.html", 0o644, nginxError)
	l.file("docker-entrypoint.sh", 0o755, entrypoint)
	for _, dir := range []string{"body", "fastcgi", "proxy", "scgi", "uwsgi"} {
		l.dirOf("var/lib/nginx/"+dir, 0o700, nginxUser)
	}
	l.dirOf("var/cache/nginx", 0o755, nginxUser)
	l.dir("var/lock", 0o1777)
	l.link("var/log/nginx/access.log", "/dev/stdout")
	l.link("var/log/nginx/error.log", "/dev/stderr")
	return l, nil
}

func bashLayer(ctx context.Context, p *packages) (*layer, error) {
	program, err := p.program(ctx, "bash", "bash")
	if err != nil {
		return nil, err
	}
	l := newLayer()
	l.addProgram(p, "usr/bin/bash", program)
	l.link("bin/bash", "/usr/bin/bash")
	for _, terminal := range []string{"d/dumb", "l/linux", "s/screen", "v/vt100", "x/xterm", "x/xterm-256color"} {
		if from := p.find("/lib/terminfo/"+terminal, "/usr/share/terminfo/"+terminal); from != "" {
			l.copy("lib/terminfo/"+terminal, from)
		}
	}
	return l, nil
}

// curlLayer has curl with the authorities that browsers trust. Names are looked up with
// busybox's nslookup, which knows SRV records, and with getent.
func curlLayer(ctx context.Context, p *packages) (*layer, error) {
	l := newLayer()
	for name, from := range map[string]string{"curl": "curl", "getent": "libc-bin"} {
		program, err := p.program(ctx, name, from)
		if err != nil {
			return nil, err
		}
		l.addProgram(p, "usr/bin/"+name, program)
	}
	bundle, err := authorities(ctx, p)
	if err != nil {
		return nil, err
	}
	l.file("etc/ssl/certs/ca-certificates.crt", 0o644, bundle)
	return l, nil
}

// authorities concatenates the certificates of package ca-certificates.
func authorities(ctx context.Context, p *packages) (string, error) {
	const pattern = "usr/share/ca-certificates/mozilla/*.crt"
	glob := func() (files []string) {
		for _, root := range p.roots {
			if files, _ = filepath.Glob(filepath.Join(root, pattern)); len(files) > 0 {
				return files
			}
		}
		return nil
	}
	files := glob()
	if len(files) == 0 {
		if err := p.fetch(ctx, "ca-certificates"); err != nil {
			return "", err
		}
		files = glob()
	}
	var bundle strings.Builder
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		bundle.Write(raw)
	}
	return bundle.String(), nil
}

func fortuneLayer() *layer {
	l := newLayer()
	l.file("usr/games/fortune", 0o755, fortune)
	l.file("bin/fortuneloop.sh", 0o755, fortuneLoop)
	return l
}

func proxyLayer(kubectl string) *layer {
	l := newLayer()
	l.copy("usr/bin/kubectl", kubectl)
	l.file("kubectl-proxy.sh", 0o755, kubectlProxy)
	return l
}

// ambassadorLayer has the program and nothing else: no shell, and no user but a number.
func ambassadorLayer(program string) *layer {
	l := newLayer()
	l.copy("ambassador", program)
	return l
}
