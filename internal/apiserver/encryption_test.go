package apiserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/encryption"
)

func settleSoon(c *apiserver.Config) { c.Store.EncryptionSettle = 50 * time.Millisecond }

// encryptionStatus asks a server about encryption; post is a path to ask something of
// it first, or "".
func encryptionStatus(t *testing.T, client kubernetes.Interface, post string) *encryption.Status {
	t.Helper()
	r := client.CoreV1().RESTClient().Get().AbsPath(encryption.Path)
	if post != "" {
		r = client.CoreV1().RESTClient().Post().AbsPath(post)
	}
	raw, err := r.DoRaw(t.Context())
	must(t, err)
	s := &encryption.Status{}
	must(t, json.Unmarshal(raw, s))
	return s
}

func completed(t *testing.T, client kubernetes.Interface) *encryption.Status {
	t.Helper()
	var s *encryption.Status
	eventually(t, func() error {
		s = encryptionStatus(t, client, "")
		if s.Rotation == nil || s.Rotation.State != encryption.Complete {
			return fmt.Errorf("%+v", s.Rotation)
		}
		return nil
	})
	return s
}

// fill makes secrets that hold the canary.
func (s *system) fill(n int) {
	s.t.Helper()
	errs := make(chan error)
	for w := range 10 {
		go func() {
			var err error
			for i := w; i < n; i += 10 {
				_, e := s.admin().CoreV1().Secrets("default").Create(s.t.Context(), &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s%d", i)}, Data: map[string][]byte{"password": fmt.Appendf(nil, "%s %d", canary, i)},
				}, metav1.CreateOptions{})
				err = errors.Join(err, e)
			}
			errs <- err
		}()
	}
	for range 10 {
		must(s.t, <-errs)
	}
}

// secrets reads all secrets of the namespace default, past the watch cache.
func (s *system) secrets() map[string]corev1.Secret {
	s.t.Helper()
	list, err := s.admin().CoreV1().Secrets("default").List(s.t.Context(), metav1.ListOptions{})
	must(s.t, err)
	all := map[string]corev1.Secret{}
	for _, o := range list.Items {
		all[o.Name] = o
	}
	return all
}

// onDisk fails when a file of the store holds one of the texts.
func (s *system) onDisk(texts ...string) {
	s.t.Helper()
	seen := 0
	must(s.t, filepath.WalkDir(filepath.Join(s.dir, "etcd"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		seen += bytes.Count(data, []byte("/registry/secrets/default/s"))
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) {
				s.t.Errorf("%s holds %q", path, text)
			}
		}
		return err
	}))
	if seen == 0 {
		s.t.Error("the files do not even name the secrets: the test sees nothing")
	}
}

// labels counts the beginnings of stored values that must be encrypted.
func (s *system) labels() map[string]int {
	s.t.Helper()
	counts := map[string]int{}
	for _, at := range []string{"/registry/secrets/", "/laterna/keys"} {
		all, err := s.raw().Get(s.t.Context(), at, clientv3.WithPrefix())
		must(s.t, err)
		for _, kv := range all.Kvs {
			label := "plain"
			if parts := strings.SplitN(string(kv.Value[:min(60, len(kv.Value))]), ":", 6); len(parts) == 6 && parts[0] == "k8s" {
				label = strings.Join(parts[:5], ":")
			}
			counts[label]++
		}
	}
	return counts
}

func (s *system) keyFile() string {
	s.t.Helper()
	file := filepath.Join(s.dir, "encryption", "keys")
	info, err := os.Stat(file)
	must(s.t, err)
	if info.Mode() != 0o600 {
		s.t.Errorf("mode of the key file: %v", info.Mode())
	}
	data, err := os.ReadFile(file)
	must(s.t, err)
	return string(data)
}

func TestEncryptionKeyRotates(t *testing.T) {
	dir := t.TempDir()
	var before map[string]corev1.Secret
	var token string
	t.Run("rotation", func(t *testing.T) {
		s := boot(t, dir, settleSoon)
		s.fill(120)
		before = s.secrets()
		made, err := s.admin().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "kubernetes-admin", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if apierrors.IsNotFound(err) {
			_, err = s.admin().CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes-admin"}}, metav1.CreateOptions{})
			must(t, err)
			made, err = s.admin().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "kubernetes-admin", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		}
		must(t, err)
		token = made.Status.Token
		if got := s.labels(); len(got) != 1 || got["k8s:enc:secretbox:v1:key1"] != 121 {
			t.Fatalf("before: %v", got)
		}
		old := s.keyFile()

		began := encryptionStatus(t, s.admin(), encryption.RotatePath)
		if r := began.Rotation; r == nil || r.Key.Name != "key2" || len(r.Old) != 1 || r.Old[0] != "key1" {
			t.Errorf("began: %+v", r)
		}
		status := completed(t, s.admin())
		if len(status.Keys) != 1 || status.Keys[0].Name != "key2" || status.Stale != 0 || len(status.Values) != 1 || status.Values["secretbox key2"] != 121 || len(status.Unreadable) != 0 {
			t.Errorf("after: %+v", status)
		}
		if status.Rotation.Rewritten != 121 {
			t.Errorf("rewritten: %d", status.Rotation.Rewritten)
		}
		if got := s.labels(); len(got) != 1 || got["k8s:enc:secretbox:v1:key2"] != 121 {
			t.Errorf("after: %v", got)
		}
		now := s.keyFile()
		if !strings.HasPrefix(now, "key2 ") || strings.Contains(now, strings.Fields(old)[1]) {
			t.Error("the old key is still in the file, or the new one is not")
		}
		after := s.secrets()
		for name, o := range before {
			if after[name].ResourceVersion == o.ResourceVersion {
				t.Errorf("%s was not written again", name)
			}
			was, is := o.DeepCopy(), after[name]
			was.ResourceVersion, is.ResourceVersion = "", ""
			if was.String() != is.String() {
				t.Errorf("%s has changed: %v, was %v", name, is, was)
			}
		}
		s.onDisk(canary, "pkcs8", "PRIVATE KEY", strings.Fields(old)[1], strings.Fields(now)[1])
	})
	t.Run("next life", func(t *testing.T) {
		s := boot(t, dir, settleSoon)
		if all := s.secrets(); len(all) != len(before) || !strings.HasPrefix(string(all["s7"].Data["password"]), canary) {
			t.Errorf("%d secrets, %v", len(all), all["s7"])
		}
		review, err := s.admin().AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		must(t, err)
		if !review.Status.Authenticated {
			t.Errorf("the token of before: %+v", review.Status)
		}
		encryptionStatus(t, s.admin(), encryption.RotatePath)
		if status := completed(t, s.admin()); status.Keys[0].Name != "key3" || len(status.Keys) != 1 {
			t.Errorf("second rotation: %+v", status)
		}
	})
}

// TestRotationGoesOnAfterStop ends the server in every phase, and lets another go on.
func TestRotationGoesOnAfterStop(t *testing.T) {
	dir := t.TempDir()
	const n = 200
	for i, patience := range []time.Duration{0, 5, 20, 60, 120} {
		t.Run(patience.String(), func(t *testing.T) {
			s := boot(t, dir, settleSoon)
			if i == 0 {
				s.fill(n)
			} else {
				completed(t, s.admin())
			}
			encryptionStatus(t, s.admin(), encryption.RotatePath)
			time.Sleep(patience * time.Millisecond)
		})
	}
	s := boot(t, dir, settleSoon)
	status := completed(t, s.admin())
	if len(status.Values) != 1 || status.Values["secretbox key6"] != n+1 || len(status.Keys) != 1 {
		t.Errorf("in the end: %+v", status)
	}
	if all := s.secrets(); len(all) != n {
		t.Errorf("%d secrets are left", len(all))
	}
}

func TestRotationIsForAdminsAndOneAtATime(t *testing.T) {
	s := boot(t, t.TempDir(), func(c *apiserver.Config) { c.Store.EncryptionSettle = time.Hour })
	for who, config := range map[string][]string{"jane": nil, "system:node:a": {"system:nodes"}, "system:kube-controller-manager": nil} {
		client, err := kubernetes.NewForConfig(s.config(who, config...))
		must(t, err)
		for _, path := range []string{encryption.RotatePath, encryption.RewritePath} {
			if err := client.CoreV1().RESTClient().Post().AbsPath(path).Do(t.Context()).Error(); !apierrors.IsForbidden(err) {
				t.Errorf("%s, POST %s: %v", who, path, err)
			}
		}
		if err := client.CoreV1().RESTClient().Get().AbsPath(encryption.Path).Do(t.Context()).Error(); !apierrors.IsForbidden(err) {
			t.Errorf("%s, GET: %v", who, err)
		}
	}
	encryptionStatus(t, s.admin(), encryption.RotatePath)
	err := s.admin().CoreV1().RESTClient().Post().AbsPath(encryption.RotatePath).Do(t.Context()).Error()
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "a rotation to key2 is under way") {
		t.Errorf("a second rotation: %v", err)
	}
	eventually(t, func() error {
		if got := encryptionStatus(t, s.admin(), ""); !strings.Contains(got.Rotation.Message, "key1 is kept until") || len(got.Keys) != 2 || got.Stale != 0 {
			return fmt.Errorf("%+v", got.Rotation)
		}
		return nil
	})
}

// companion boots a second server on the store of s, with keys of its own in dir, or
// those of s.
func (s *system) companion(dir string) *system {
	s.t.Helper()
	o := build(s.t, dir, settleSoon, func(c *apiserver.Config) {
		c.Store.Await = s.store.Await
		c.Store.EncryptionKeyFile = filepath.Join(dir, "encryption", "keys")
	})
	o.group = component.Group{Log: o.group.Log}
	o.group.Add(o.server)
	must(s.t, o.group.Start(s.t.Context()))
	eventually(s.t, o.server.Ready)
	eventually(s.t, func() error {
		if n := len(encryptionStatus(s.t, s.admin(), "").Servers); n != 2 {
			return fmt.Errorf("%d servers", n)
		}
		return nil
	})
	return o
}

func TestRotationOfServersThatShareTheFile(t *testing.T) {
	s := boot(t, t.TempDir(), settleSoon)
	s.fill(50)
	o := s.companion(s.dir)
	for _, asked := range []*system{s, o} {
		encryptionStatus(t, asked.admin(), encryption.RotatePath)
		completed(t, s.admin())
	}
	if got := s.labels(); got["k8s:enc:secretbox:v1:key3"] != 51 || len(got) != 1 {
		t.Errorf("in the end: %v", got)
	}
	if file := s.keyFile(); strings.Count(file, "\n") != 1 || !strings.HasPrefix(file, "key3 ") {
		t.Error("the file holds more than the new key")
	}
}

func TestRotationOfTwoServers(t *testing.T) {
	s := boot(t, t.TempDir(), settleSoon)
	s.fill(50)
	other := t.TempDir()
	must(t, os.CopyFS(filepath.Join(other, "encryption"), os.DirFS(filepath.Join(s.dir, "encryption"))))
	must(t, os.CopyFS(filepath.Join(other, "pki"), os.DirFS(filepath.Join(s.dir, "pki"))))
	o := s.companion(other)
	encryptionStatus(t, s.admin(), encryption.RotatePath)
	eventually(t, func() error {
		r := encryptionStatus(t, o.admin(), "").Rotation
		if r.State != encryption.Distributing || !strings.Contains(r.Message, "copy the key file") || !strings.Contains(r.Message, o.addr) || strings.Contains(r.Message, s.addr) {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if got := s.labels(); got["k8s:enc:secretbox:v1:key1"] != 51 || len(got) != 1 {
		t.Errorf("written before everybody can read it: %v", got)
	}
	data := s.keyFile()
	must(t, os.WriteFile(filepath.Join(other, "encryption", "keys"), []byte(data), 0o600))
	status := completed(t, o.admin())
	if status.Values["secretbox key2"] != 51 || len(status.Values) != 1 {
		t.Errorf("in the end: %+v", status)
	}
	eventually(t, func() error {
		if mine, his := s.keyFile(), o.keyFile(); mine != his || strings.Count(mine, "\n") != 1 || !strings.HasPrefix(mine, "key2 ") {
			return errors.New("the files differ or hold more than the new key")
		}
		return nil
	})
	_, err := o.admin().CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = s.admin().CoreV1().Secrets("default").Get(t.Context(), "late", metav1.GetOptions{})
	must(t, err)
}
