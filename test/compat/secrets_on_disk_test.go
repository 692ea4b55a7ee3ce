package compat

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/datadir"
)

func TestB25WhoMayCreatePodsMayReadSecrets(t *testing.T) {
	s := newStage(t)
	secret := s.secret(t, map[string]string{"password": "s3cr3t"})
	k := "kubectl -n " + s.ns + " "
	s.sh(t, k+"create role pods --verb=create,get --resource=pods,pods/exec && "+k+"create rolebinding jane --role=pods --user=jane")
	contains(t, s.fails(t, k+"--as=jane get secret "+secret.Name), "Forbidden", `User "jane" cannot get resource "secrets"`)

	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: peek}\nspec:\n  containers: [{name: c, image: 'busybox:1.28', command: [sleep, '3600'], volumeMounts: [{name: v, mountPath: /v}]}]\n  volumes: [{name: v, secret: {secretName: " + secret.Name + "}}]\n"
	s.sh(t, k+"--as=jane create -f - <<'END'\n"+pod+"END")
	s.running(t, s.ns, "peek")
	if got := s.sh(t, k+"--as=jane exec peek -- cat /v/password"); got != "s3cr3t" {
		t.Errorf("the pod shows %q", got)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, strings.Join(strings.Fields(string(readme)), " "),
		"Whoever may create pods in a namespace can read its secrets by mounting them",
		"A secret given as an environment variable goes through the container runtime, which keeps it in its own database on disk")
}

// canary returns a value that nothing else holds.
func canary() string { return "canary-" + rand.Text() }

// writtenIn lists the files below roots that hold one of values, as they are or in
// base64 as the API shows Secrets. It leaves out what lies on tmpfs and what was last
// written before the values were made.
func writtenIn(t testing.TB, made time.Time, values []string, roots ...string) (found []string) {
	t.Helper()
	var needles [][]byte
	for _, v := range values {
		encoded := base64.StdEncoding.EncodeToString([]byte(v))
		needles = append(needles, []byte(v), []byte(strings.TrimRight(encoded, "=")))
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed since
				return nil
			case err != nil:
				return err
			case !d.Type().IsRegular():
				return nil
			}
			info, err := d.Info()
			if err == nil && info.ModTime().After(made.Add(-time.Second)) && holds(t, path, needles) {
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// holds tells whether a file has one of needles and does not lie on tmpfs, where files
// mounted by subPath do, too. It reads in pieces that overlap.
func holds(t testing.TB, path string, needles [][]byte) bool {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var system unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &system); err != nil {
		t.Fatal(err)
	}
	if system.Type == unix.TMPFS_MAGIC {
		return false
	}
	const overlap = 4096
	buffer, kept := make([]byte, 1<<20), 0
	for {
		n, err := io.ReadFull(f, buffer[kept:])
		piece := buffer[:kept+n]
		if slices.ContainsFunc(needles, func(needle []byte) bool { return bytes.Contains(piece, needle) }) {
			return true
		}
		if err != nil {
			return false
		}
		kept = copy(buffer, piece[len(piece)-overlap:])
	}
}

func TestB25NoSecretOnANodesDisk(t *testing.T) {
	s := newStage(t)
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	// The directory around the data directory is kubectl's home here.
	begun := time.Now()
	roots := []string{filepath.Dir(s.Dir), dir.RunDir}
	secrets := map[string]string{"whole": canary(), "projected": canary(), "part": canary(), "updated": canary()}
	secret := s.secret(t, secrets)
	public := canary()
	s.configMap(t, map[string]string{"public": public})

	pod := shell(s.name("pod"), forever)
	mount(pod, "/whole", secretFiles.source(secret.Name, files{}))
	mount(pod, "/projected", projectedSecretFiles.source(secret.Name, files{}))
	mount(pod, "/token", tokenVolume("vault", 600))
	mount(pod, "/part", secretFiles.source(secret.Name, files{}))
	pod.Spec.Containers[0].VolumeMounts[3].SubPath = "part"
	made := s.runs(t, pod)
	s.until(t, made, `[ "$(cat /part)" = `+secrets["part"]+` ]`)
	tokens, err := s.inside(t, made, "cat /token/token && echo && cat "+accountFiles+"/token")
	if err != nil {
		t.Fatal(err)
	}
	values := []string{secrets["whole"], secrets["projected"], secrets["part"], secrets["updated"]}
	for token := range strings.Lines(tokens) {
		parts := strings.Split(strings.TrimSpace(token), ".")
		values = append(values, parts[2]) // what makes the token one; the rest is no secret
	}
	changed := canary()
	s.write(t, secretFiles, secret.Name, map[string]string{"updated": changed})
	s.until(t, made, `[ "$(cat /whole/updated)" = `+changed+` ]`)
	values = append(values, changed)

	if found := writtenIn(t, begun, values, roots...); len(found) > 0 {
		t.Errorf("secrets or tokens are on disk in %q", found)
	}
	if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(s.Log(), v) }) {
		t.Error("a secret or token is in the log")
	}
	// The search finds what is there to be found: what a ConfigMap says is no secret.
	if found := writtenIn(t, begun, []string{public}, dir.Etcd()); len(found) == 0 {
		t.Error("the content of a ConfigMap is not found in the store: the search is blind")
	}
}

// A secret in the environment is the exception that README names: it is on disk, and
// only where the container runtime keeps what it was told.
func TestB25SecretInTheEnvironmentIsWithTheRuntimeOnly(t *testing.T) {
	s := newStage(t)
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	begun, value := time.Now(), canary()
	secret := s.secret(t, map[string]string{"key": value})
	pod := shell(s.name("pod"), forever)
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "SECRET", ValueFrom: keyEnv(secretFiles, secret.Name, "key")}}
	s.runs(t, pod)
	found := writtenIn(t, begun, []string{value}, filepath.Dir(s.Dir), dir.RunDir)
	if !slices.Contains(found, filepath.Join(dir.Containerd(), "io.containerd.metadata.v1.bolt", "meta.db")) {
		t.Errorf("it is in %q, not in the runtime's database, as docs/security.md says", found)
	}
	for _, file := range found {
		if !strings.HasPrefix(file, dir.Containerd()+"/") && !strings.HasPrefix(file, filepath.Join(dir.RunDir, "containerd")+"/") {
			t.Errorf("it is in %s, too", file)
		}
	}
}
