package apiserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/etcd"
)

const canary = "canary-c0ffee-in-a-coal-mine"

// raw returns a client of the system's store.
func (s *system) raw() *clientv3.Client {
	s.t.Helper()
	e, err := s.store.Await(s.t.Context())
	must(s.t, err)
	c, err := e.NewClient(slog.Default())
	must(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return c
}

func TestSecretsAreEncryptedAtRest(t *testing.T) {
	s := boot(t, t.TempDir())
	_, err := s.admin().CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"password": []byte(canary)},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), configMap("control", map[string]string{"a": "visible-" + canary[:6]}), metav1.CreateOptions{})
	must(t, err)

	all, err := s.raw().Get(t.Context(), "", clientv3.WithPrefix())
	must(t, err)
	keys := map[string][]byte{}
	for _, kv := range all.Kvs {
		keys[string(kv.Key)] = kv.Value
		if bytes.Contains(kv.Value, []byte(canary)) || bytes.Contains(kv.Value, []byte("pkcs8")) {
			t.Errorf("%s shows what is in it", kv.Key)
		}
	}
	if v := keys["/registry/secrets/default/s"]; !bytes.HasPrefix(v, []byte("k8s:enc:secretbox:v1:key1:")) {
		t.Errorf("secret begins %.40q", v)
	}
	if v := keys["/laterna/keys"]; !bytes.HasPrefix(v, []byte("k8s:enc:secretbox:v1:key1:")) {
		t.Errorf("signing keys begin %.40q", v)
	}
	if v := keys["/registry/configmaps/default/control"]; !bytes.HasPrefix(v, []byte("k8s\x00")) || !bytes.Contains(v, []byte("visible-canary")) {
		t.Errorf("config map begins %.40q", v)
	}
	var visible bool
	must(t, filepath.WalkDir(filepath.Join(s.dir, "etcd"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("%s holds the plain secret", path)
		}
		visible = visible || bytes.Contains(data, []byte("visible-canary"))
		return err
	}))
	if !visible {
		t.Error("the control value is not on disk either: the test sees nothing")
	}
}

func TestPlainSecretsMigrate(t *testing.T) {
	s := boot(t, t.TempDir())
	_, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), configMap("other", nil), metav1.CreateOptions{})
	must(t, err)
	made := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: "default", UID: "u"}, Data: map[string][]byte{"a": []byte(canary)}}
	data, err := made.Marshal()
	must(t, err)
	// runtime.Unknown around it, as protobuf is stored: field 1 is the type, field 2 the object.
	stored := append([]byte("k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Secret\x12"), append(varint(len(data)), data...)...)
	stored = append(stored, "\x1a\x00\x22\x00"...)
	_, err = s.raw().Put(t.Context(), "/registry/secrets/default/old", string(stored))
	must(t, err)
	got, err := s.admin().CoreV1().Secrets("default").Get(t.Context(), "old", metav1.GetOptions{})
	must(t, err)
	if string(got.Data["a"]) != canary {
		t.Errorf("got %v", got)
	}
	got.Labels = map[string]string{"a": "b"}
	_, err = s.admin().CoreV1().Secrets("default").Update(t.Context(), got, metav1.UpdateOptions{})
	must(t, err)
	kv, err := s.raw().Get(t.Context(), "/registry/secrets/default/old")
	must(t, err)
	if !bytes.HasPrefix(kv.Kvs[0].Value, []byte("k8s:enc:secretbox:v1:key1:")) {
		t.Errorf("after an update: %.40q", kv.Kvs[0].Value)
	}
}

func varint(n int) []byte {
	var out []byte
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	t.Run("first life", func(t *testing.T) {
		s := boot(t, dir)
		_, err := s.admin().CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"a": "b"}}, metav1.CreateOptions{})
		must(t, err)
		must(t, s.admin().RbacV1().ClusterRoles().Delete(t.Context(), "view", metav1.DeleteOptions{}))
		must(t, s.admin().CoreV1().Services("default").Delete(t.Context(), "kubernetes", metav1.DeleteOptions{}))
	})
	t.Run("second life", func(t *testing.T) {
		s := boot(t, dir)
		t.Log("ready again after", s.took)
		got, err := s.admin().CoreV1().Secrets("default").Get(t.Context(), "s", metav1.GetOptions{})
		must(t, err)
		if string(got.Data["a"]) != "b" {
			t.Errorf("got %v", got.Data)
		}
		if _, err := s.admin().RbacV1().ClusterRoles().Get(t.Context(), "view", metav1.GetOptions{}); err != nil {
			t.Errorf("default role: %v", err)
		}
		if _, err := s.admin().CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{}); err != nil {
			t.Errorf("service: %v", err)
		}
	})
	t.Run("lost key", func(t *testing.T) {
		must(t, os.Rename(filepath.Join(dir, "encryption", "keys"), filepath.Join(dir, "keys.lost")))
		if err := build(t, dir).group.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "put back the file") {
			t.Errorf("without its key the server says: %v", err)
		}
	})
}

func TestSystemObjects(t *testing.T) {
	s := boot(t, t.TempDir())
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		if _, err := s.admin().CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	svc, err := s.admin().CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	must(t, err)
	if p := svc.Spec.Ports; svc.Spec.ClusterIP != "10.96.0.1" || len(p) != 1 || p[0].Port != 443 || p[0].Name != "https" {
		t.Errorf("service %+v", svc.Spec)
	}
	if err := s.admin().CoreV1().Namespaces().Delete(t.Context(), "default", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting namespace default: %v", err)
	}
}

// TestEndpointsFollowTheAddress starts the same system under two addresses.
func TestEndpointsFollowTheAddress(t *testing.T) {
	dir := t.TempDir()
	for _, address := range []string{"192.0.2.1:6443", "192.0.2.2:7443"} {
		t.Run(address, func(t *testing.T) {
			want := netip.MustParseAddrPort(address)
			s := boot(t, dir, func(c *apiserver.Config) { c.Serving.Advertise = want })
			e, err := s.admin().CoreV1().Endpoints("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
			must(t, err)
			if len(e.Subsets) != 1 || e.Subsets[0].Addresses[0].IP != want.Addr().String() || e.Subsets[0].Ports[0].Port != int32(want.Port()) {
				t.Errorf("endpoints %+v", e.Subsets)
			}
			svc, err := s.admin().CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
			must(t, err)
			if got := svc.Spec.Ports[0].TargetPort.IntValue(); got != int(want.Port()) {
				t.Errorf("target port %d", got)
			}
		})
	}
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	s := boot(t, t.TempDir())
	maps := s.admin().CoreV1().ConfigMaps("default")
	_, err := maps.Create(t.Context(), configMap("shared", map[string]string{}), metav1.CreateOptions{})
	must(t, err)
	const writers, writes = 8, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				for {
					m, err := maps.Get(t.Context(), "shared", metav1.GetOptions{})
					if err != nil {
						t.Error(err)
						return
					}
					if m.Data == nil {
						m.Data = map[string]string{}
					}
					m.Data[fmt.Sprintf("%d-%d", w, i)] = "x"
					_, err = maps.Update(t.Context(), m, metav1.UpdateOptions{})
					if err == nil {
						break
					}
					if !apierrors.IsConflict(err) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	m, err := maps.Get(t.Context(), "shared", metav1.GetOptions{})
	must(t, err)
	if len(m.Data) != writers*writes {
		t.Errorf("%d of %d writes are there", len(m.Data), writers*writes)
	}
}

func TestTheWrongEncryptionKeys(t *testing.T) {
	dir := t.TempDir()
	s := boot(t, dir)
	must(t, s.group.Stop(t.Context()))
	must(t, os.Remove(filepath.Join(dir, "encryption", "keys")))
	err := build(t, dir).group.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "do not fit the store, put back the file") {
		t.Errorf("started with other keys than those of the store: %v", err)
	}
}

func TestAStoreThatDoesNotAnswer(t *testing.T) {
	away := etcd.Endpoints{URLs: []string{"http://127.0.0.1:1"}}
	s := build(t, t.TempDir(), func(c *apiserver.Config) { c.Store.Await = away.Await })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := s.server.Start(ctx)
	if err == nil || !strings.Contains(err.Error(), "waiting for the store at http://127.0.0.1:1: context deadline exceeded") {
		t.Errorf("start: %v", err)
	}
	must(t, s.server.Stop(t.Context()))
}
