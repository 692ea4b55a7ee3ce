package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/datadir"
)

func podWith(volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Volumes: volumes}}
}

func projected(name string, tokens ...string) corev1.Volume {
	v := corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{}}}}}}
	for _, path := range tokens {
		v.Projected.Sources = append(v.Projected.Sources, corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: path}})
	}
	return v
}

func TestChoosingAToken(t *testing.T) {
	one := podWith(corev1.Volume{Name: "other"}, projected("v", "dir/token"))
	two := podWith(projected("v", "a"), projected("w", "b"))
	for _, tc := range []struct {
		pod        *corev1.Pod
		want, file string
		err        string
	}{
		{one, "", "v/dir/token", ""},
		{one, "v/dir/token", "v/dir/token", ""},
		{one, "v/token", "", "no token v/token, but v/dir/token"},
		{one, "../../etc/passwd", "", "no token"},
		{two, "", "", "several tokens, name one behind a colon: v/a, w/b"},
		{two, "w/b", "w/b", ""},
		{podWith(projected("v")), "", "", "no volume of the pod holds a token"},
	} {
		file, err := chooseToken(tc.pod, tc.want)
		if file != tc.file || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %q, %v; want %q, %s", tc.want, file, err, tc.file, tc.err)
		}
	}
}

func TestVolumesAreNotLeft(t *testing.T) {
	dir := datadir.Dir{Path: t.TempDir()}
	volume := filepath.Join(dir.Path, "pods", "uid", "volumes", "kubernetes.io~projected", "v")
	if err := os.MkdirAll(filepath.Join(volume, "..gen"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(volume, "..gen", "token"), []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"..data": "..gen", "token": "..data/token", "out": "/etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(volume, link)); err != nil {
			t.Fatal(err)
		}
	}
	file, err := openInVolume(dir, "uid", "v/token")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, bad := range []string{"v/out", "v/../../../../x", "v/none"} {
		if _, err := openInVolume(dir, "uid", bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
	if _, err := openInVolume(dir, "gone", "v/token"); err == nil || !strings.Contains(err.Error(), "not on this machine") {
		t.Errorf("a pod of another machine: %v", err)
	}
}

func TestTokenOnATerminalIsNotWaitedFor(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var errs bytes.Buffer
	done := make(chan int)
	go func() {
		done <- Main([]string{"token", "inspect", "--offline"}, Streams{In: terminal, Out: io.Discard, Err: &errs}, apiserver.Version{})
	}()
	select {
	case code := <-done:
		if code != 2 || !strings.Contains(errs.String(), "needs a FILE, or a token on standard input") {
			t.Errorf("code %d, %s", code, errs.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for the terminal")
	}
}
