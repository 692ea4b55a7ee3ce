package compat

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// privateRegistry is a registry of this machine that asks for a login.
type privateRegistry struct {
	// host is ADDRESS:PORT, the beginning of its images' names.
	host string
	// inner answers without asking for a login.
	inner http.Handler
	certs *x509.Certificate
	// denied counts the requests that came with a wrong login or none.
	denied atomic.Int64
	// lie, if set, answers instead of the registry where it returns true.
	lie atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	// accepts, if set, says for which path which login is right, besides the one of the
	// constants.
	accepts atomic.Pointer[func(path, user, password string) bool]
}

const registryUser, registryPassword = "ann", "correct-horse-battery"

// newRegistry starts a registry with TLS and a login, and tells the system's containerd
// of its authority.
func (s *system) newRegistry(t testing.TB) *privateRegistry {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r := &privateRegistry{inner: inner}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if lie := r.lie.Load(); lie != nil && (*lie)(w, req) {
			return
		}
		user, password, _ := req.BasicAuth()
		accepts := r.accepts.Load()
		if (user != registryUser || password != registryPassword) && (accepts == nil || !(*accepts)(req.URL.Path, user, password)) {
			r.denied.Add(1)
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, req)
	}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if r.certs, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections() // pulls of pods that are being deleted
		server.Close()
	})
	r.host = server.Listener.Addr().String()

	dir := filepath.Join(s.Dir, "containerd", "certs.d", r.host)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	authority := filepath.Join(dir, "ca.pem")
	hosts := fmt.Sprintf("server = \"https://%s\"\n[host.\"https://%s\"]\n  ca = %q\n", r.host, r.host, authority)
	for file, content := range map[string][]byte{
		authority:                        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		filepath.Join(dir, "hosts.toml"): []byte(hosts),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// push gives the registry busybox by a name and returns the image's full name.
func (r *privateRegistry) push(t testing.TB, repository string) string {
	t.Helper()
	image, err := tarball.ImageFromPath(filepath.Join(imageDir, "busybox-1.28.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	// A layer of its own: what the node has already it does not ask for.
	layer, err := random.Layer(1<<10, types.DockerLayer)
	if err != nil {
		t.Fatal(err)
	}
	return r.pushLayers(t, repository, image, layer)
}

// pushLayers gives the registry an image with more layers on top.
func (r *privateRegistry) pushLayers(t testing.TB, repository string, image v1.Image, layers ...v1.Layer) string {
	t.Helper()
	full := r.host + "/" + repository
	ref, err := name.ParseReference(full)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.AppendLayers(image, layers...); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(r.certs)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	if err := remote.Write(ref, image, remote.WithContext(ctx), remote.WithTransport(transport),
		remote.WithAuth(&authn.Basic{Username: registryUser, Password: registryPassword})); err != nil {
		t.Fatal(err)
	}
	return full
}

// login makes a Secret for the registry.
func (s *system) login(t testing.TB, ns, secret string, r *privateRegistry, password string) {
	t.Helper()
	s.sh(t, fmt.Sprintf("kubectl create secret docker-registry -n %s %s --docker-server=https://%s --docker-username=%s --docker-password=%s",
		ns, secret, r.host, registryUser, password))
}

// puller is a pod that sleeps on an image.
func pullerPod(name, image, more string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
%s  containers: [{name: main, image: %q, command: [sleep, "100000"]}]
`, name, more, image)
}

// waits waits until a pod's container waits for a reason, and returns the message.
func (s *system) waits(t testing.TB, ns, pod string, d time.Duration, reasons ...string) (message string) {
	t.Helper()
	eventually(t, d, func() error {
		got := s.field(t, ns, "pod/"+pod, `{.status.containerStatuses[0].state.waiting.reason}|{.status.containerStatuses[0].state.waiting.message}`)
		reason, text, _ := strings.Cut(got, "|")
		for _, r := range reasons {
			if reason == r {
				message = text
				return nil
			}
		}
		return fmt.Errorf("pod %s: %s", pod, got)
	})
	return message
}

func TestB16PrivateImage(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	r := shared.newRegistry(t)
	image := r.push(t, "team/app:1")
	shared.apply(t, ns, pullerPod("without", image, ""))
	message := shared.waits(t, ns, "without", 30*time.Second, "ImagePullBackOff")
	contains(t, message, fmt.Sprintf("Back-off pulling image %q: ErrImagePull: ", image), "401")
	describe := shared.sh(t, "kubectl describe pod -n "+ns+" without")
	contains(t, describe, fmt.Sprintf("Pulling image %q", image), fmt.Sprintf("Failed to pull image %q", image), "Error: ErrImagePull",
		fmt.Sprintf("Back-off pulling image %q", image), "Error: ImagePullBackOff")

	shared.login(t, ns, "wrong", r, "not-the-password")
	shared.login(t, ns, "right", r, registryPassword)
	shared.apply(t, ns, pullerPod("wrong", image, "  imagePullSecrets: [{name: wrong}, {name: absent}]\n"))
	message = shared.waits(t, ns, "wrong", 30*time.Second, "ImagePullBackOff")
	describe = shared.sh(t, "kubectl describe pod -n "+ns+" wrong")
	contains(t, describe, "FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (absent); attempting to pull the image may not succeed.")
	for what, text := range map[string]string{"status": message, "events": describe, "log": shared.Log()} {
		if strings.Contains(text, "not-the-password") || strings.Contains(text, registryPassword) {
			t.Errorf("a password is in the %s:\n%s", what, text)
		}
	}

	shared.apply(t, ns, pullerPod("with", image, "  imagePullSecrets: [{name: wrong}, {name: right}]\n"))
	shared.running(t, ns, "with")
	contains(t, shared.sh(t, "kubectl describe pod -n "+ns+" with"), fmt.Sprintf("Successfully pulled image %q in ", image), "including waiting). Image size: ")

	shared.apply(t, ns, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: puller}\nimagePullSecrets: [{name: right}]\n")
	other := r.push(t, "team/other:1")
	shared.apply(t, ns, pullerPod("account", other, "  serviceAccountName: puller\n"))
	shared.running(t, ns, "account")
	if got := shared.field(t, ns, "pod/account", "{.spec.imagePullSecrets[*].name}"); got != "right" {
		t.Errorf("the service account's pull secrets: %q", got)
	}
}

// TestImageThatOthersPulledNeedsCredentialsOfItsOwn is KEP-2535.
func TestImageThatOthersPulledNeedsCredentialsOfItsOwn(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	r := shared.newRegistry(t)
	image := r.push(t, "own/app:1")
	shared.login(t, ns, "right", r, registryPassword)
	shared.apply(t, ns, pullerPod("first", image, "  imagePullSecrets: [{name: right}]\n"))
	shared.running(t, ns, "first")
	shared.apply(t, ns, pullerPod("second", image, ""))
	shared.apply(t, ns, pullerPod("third", image, "  imagePullSecrets: [{name: right}]\n"))
	never := strings.Replace(pullerPod("never", image, ""), "name: main", "name: main, imagePullPolicy: Never", 1)
	shared.apply(t, ns, never)
	shared.running(t, ns, "third")
	contains(t, shared.sh(t, "kubectl describe pod -n "+ns+" third"), "already present on machine and can be accessed by the pod")
	shared.waits(t, ns, "second", 30*time.Second, "ErrImagePull", "ImagePullBackOff")
	contains(t, shared.waits(t, ns, "never", 30*time.Second, "ErrImageNeverPull"), "does not have the proper credentials")
}

func TestImageNamesThatAreNoneAreTold(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, pullerPod("bad", "UPPER/Case:1", ""))
	contains(t, shared.waits(t, ns, "bad", 30*time.Second, "InvalidImageName"), `Failed to apply default image tag "UPPER/Case:1": couldn't parse image name "UPPER/Case:1": `)
	eventually(t, 5*time.Second, func() error { // Events may come after the status
		said := shared.sh(t, "kubectl describe pod -n "+ns+" bad")
		if !strings.Contains(said, "InspectFailed") || !strings.Contains(said, "Error: InvalidImageName") {
			return fmt.Errorf("no Events:\n%s", said)
		}
		return nil
	})
}

// TestRegistryThatLiesHarmsNobodyElse answers pulls with other content, other sizes, and
// not at all.
func TestRegistryThatLiesHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	stop := make(chan struct{})
	lies := map[string]func(w http.ResponseWriter, req *http.Request) bool{
		"digest": func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.Path, "/blobs/") || req.Method != http.MethodGet {
				return false
			}
			_, _ = w.Write([]byte("other content"))
			return true
		},
		"size": func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.Path, "/blobs/") || req.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Content-Length", "1000000000000")
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
			return true
		},
		"manifest": func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
			_, _ = io.WriteString(w, `{"schemaVersion":2,"config":{"digest":"../../../etc/passwd","size":-5},"layers":[{"digest":"sha256:zz","size":99999999999999}]}`)
			return true
		},
		"silence": func(_ http.ResponseWriter, req *http.Request) bool {
			select {
			case <-stop:
			case <-req.Context().Done():
			}
			return true
		},
	}
	for what, lie := range lies {
		r := shared.newRegistry(t)
		image := r.push(t, "liar/"+what+":1")
		r.lie.Store(&lie)
		shared.login(t, ns, what, r, registryPassword)
		if what == "silence" {
			t.Cleanup(func() { close(stop) }) // before the registry is closed
		}
		for i := range 3 {
			shared.apply(t, ns, pullerPod(fmt.Sprintf("%s-%d", what, i), image, "  imagePullSecrets: [{name: "+what+"}]\n"))
		}
	}
	honest := shared.newRegistry(t)
	image := honest.push(t, "honest/app:1")
	shared.login(t, ns, "honest", honest, registryPassword)
	shared.apply(t, ns, pullerPod("honest", image, "  imagePullSecrets: [{name: honest}]\n"))
	shared.running(t, ns, "honest")
	for _, what := range []string{"digest", "size", "manifest"} {
		shared.waits(t, ns, what+"-0", 60*time.Second, "ErrImagePull", "ImagePullBackOff")
	}
	contains(t, shared.sh(t, "kubectl describe pod -n "+ns+" silence-0"), "Pulling image")
}

// TestLayersThatReachOutOfTheirImageStayWithin has a layer with the paths and links by
// which archives write elsewhere.
func TestLayersThatReachOutOfTheirImageStayWithin(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	outside := t.TempDir()
	var raw bytes.Buffer
	archive := tar.NewWriter(&raw)
	up := strings.Repeat("../", 30)
	for _, h := range []tar.Header{
		{Name: up + outside + "/by-path", Typeflag: tar.TypeReg},
		{Name: outside + "/absolute", Typeflag: tar.TypeReg},
		{Name: "way", Typeflag: tar.TypeSymlink, Linkname: up + outside},
		{Name: "way/by-link", Typeflag: tar.TypeReg},
		{Name: "other", Typeflag: tar.TypeSymlink, Linkname: outside},
		{Name: "other/by-other-link", Typeflag: tar.TypeReg},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: up + "etc/hostname"},
	} {
		h.Mode = 0o777
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	r := shared.newRegistry(t)
	image, err := tarball.ImageFromPath(filepath.Join(imageDir, "busybox-1.28.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	full := r.pushLayers(t, "evil/app:1", image, static.NewLayer(raw.Bytes(), types.DockerUncompressedLayer))
	shared.login(t, ns, "right", r, registryPassword)
	shared.apply(t, ns, pullerPod("evil", full, "  imagePullSecrets: [{name: right}]\n"))
	eventually(t, 45*time.Second, func() error {
		state := shared.field(t, ns, "pod/evil", "{.status.containerStatuses[0].state.running}{.status.containerStatuses[0].state.waiting.reason}")
		if !strings.Contains(state, "startedAt") && !strings.Contains(state, "Pull") {
			return fmt.Errorf("neither pulled nor refused: %q", state)
		}
		return nil
	})
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("the layer has written to the node: %v, %v", left, err)
	}
}
