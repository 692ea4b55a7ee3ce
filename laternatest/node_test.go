package laternatest_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/runtime/pause"
	"laterna.dev/laterna/laternatest"
)

// podWithToken is a pod that does nothing and has a token for vault in its volume.
func podWithToken(s *laternatest.System) *corev1.Pod {
	hour := int64(3600)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "main", Image: s.IdleImage(),
				VolumeMounts: []corev1.VolumeMount{{Name: "identity", MountPath: "/var/run/identity"}},
			}},
			Volumes: []corev1.Volume{{Name: "identity", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "vault", ExpirationSeconds: &hour, Path: "token"}}},
			}}}},
		},
	}
}

// run creates a pod and returns it once it runs.
func run(t testing.TB, s *laternatest.System, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pods := s.Client().CoreV1().Pods("default")
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		now, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if now.Status.Phase == corev1.PodRunning {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("the pod does not run: %+v", now.Status)
		}
	}
}

// claimsIn returns what the token in a file says.
func claimsIn(t testing.TB, file string) boundtoken.Claims {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := boundtoken.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.UnverifiedClaims()
}

// TestNodesHaveClocksOfTheirOwn runs two systems with a node each in one process. The one
// whose clock is 50 minutes ahead replaces its tokens, of an hour, at once.
func TestNodesHaveClocksOfTheirOwn(t *testing.T) {
	needRoot(t)
	const skew = 50 * time.Minute
	right, ahead := laternatest.Start(t, laternatest.Config{Node: true}), laternatest.Start(t, laternatest.Config{Node: true, Skew: skew})
	for what, s := range map[string]*laternatest.System{"right": right, "ahead": ahead} {
		pod := run(t, s, podWithToken(s))
		file := filepath.Join(s.VolumeDir(pod, "identity"), "token")
		first := claimsIn(t, file)
		if apart := first.IssuedAt.Time().Sub(s.Now()).Abs(); apart > time.Minute {
			t.Errorf("%s: the token is issued %s off the system's time", what, apart)
		}
		s.Advance(20 * time.Minute)
		if what == "right" {
			// 48 minutes are the time of its rotation.
			time.Sleep(300 * time.Millisecond)
			if claimsIn(t, file).ID != first.ID {
				t.Error("a node with the right time has replaced a token after a third of its life")
			}
			s.Advance(30 * time.Minute)
		}
		for deadline := time.Now().Add(30 * time.Second); claimsIn(t, file).ID == first.ID; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the token is not replaced", what)
			}
		}
	}
}

func TestImagesAreImported(t *testing.T) {
	needRoot(t)
	s := laternatest.Start(t, laternatest.Config{Node: true})
	const image = "example.com/idle:1"
	archive := filepath.Join(t.TempDir(), "idle.tar")
	writeImage(t, archive, image)
	s.ImportImages(archive)
	pod := podWithToken(s)
	pod.Spec.Containers[0].Image = image
	pod = run(t, s, pod)
	if first := claimsIn(t, filepath.Join(s.VolumeDir(pod, "identity"), "token")); first.Kubernetes.Pod.UID != string(pod.UID) {
		t.Errorf("the token is of %+v, want it of pod %s", first.Kubernetes.Pod, pod.UID)
	}
}

// writeImage writes an image of a program that does nothing, as `docker save` does.
func writeImage(t testing.TB, archive, ref string) {
	t.Helper()
	program, err := pause.Program(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "idle", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Entrypoint = "linux", runtime.GOARCH, []string{"/idle"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(archive, tag, image); err != nil {
		t.Fatal(err)
	}
}

// needRoot skips a test that runs pods where the user may not.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a node needs root")
	}
}
