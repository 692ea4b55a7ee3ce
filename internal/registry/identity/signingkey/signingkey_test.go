package signingkey_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/identity/signingkey"
	"laterna.dev/laterna/internal/tokens/keys"
)

// memory is a keys.Backend in memory.
type memory struct {
	mu      sync.Mutex
	data    []byte
	rev     int64
	err     error
	changed func()
}

func (m *memory) Load(context.Context) ([]byte, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data, m.rev, m.err
}

func (m *memory) Store(_ context.Context, data []byte, expected int64) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if expected != m.rev {
		return 0, keys.ErrConflict
	}
	m.data, m.rev = data, m.rev+1
	if m.changed != nil {
		m.changed()
	}
	return m.rev, m.err
}

func (m *memory) Watch(ctx context.Context, changed func()) error {
	m.mu.Lock()
	m.changed = changed
	m.mu.Unlock()
	changed() // as a Backend must: what came before was not seen
	<-ctx.Done()
	return ctx.Err()
}

// served is all that the storage can do.
type served interface {
	rest.Lister
	rest.Getter
	rest.Watcher
	rest.Creater
	rest.GracefulDeleter
}

// system is a storage on a real ring.
type system struct {
	served
	t        *testing.T
	ring     *keys.Ring
	backend  *memory
	ctx      context.Context
	warnings []string
}

// AddWarning implements warning.Recorder.
func (s *system) AddWarning(_, text string) { s.warnings = append(s.warnings, text) }

// newSystem starts a ring that ends with the test, which runs in a bubble.
func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, backend: &memory{}}
	s.ctx = warning.WithWarningRecorder(t.Context(), s)
	var err error
	s.ring, err = keys.New(keys.Config{Algorithm: boundtoken.ES256, Clock: clock.APIOf(clock.Real()), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.ring.Run(ctx, s.backend) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s.served = signingkey.NewStorage(s.ring, clock.APIOf(clock.Real()))["signingkeys"].(served)
	s.sign()
	return s
}

// sign issues a token of an hour, as far as the ring is concerned.
func (s *system) sign() {
	s.t.Helper()
	if _, err := s.ring.Signer(s.t.Context(), time.Now().Add(time.Hour)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) create(k *v1alpha1.SigningKey, dryRun ...string) (*v1alpha1.SigningKey, error) {
	obj, err := s.Create(s.ctx, k, rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: dryRun})
	if err != nil {
		return nil, err
	}
	return obj.(*v1alpha1.SigningKey), nil
}

func wish(t v1alpha1.KeyType, a v1alpha1.Activation) *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{Spec: v1alpha1.SigningKeySpec{Type: t, Activation: a}}
}

func (s *system) made(t v1alpha1.KeyType, a v1alpha1.Activation) *v1alpha1.SigningKey {
	s.t.Helper()
	k, err := s.create(wish(t, a))
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *system) delete(name string, options *metav1.DeleteOptions) error {
	obj, now, err := s.Delete(s.ctx, name, rest.ValidateAllObjectFunc, options)
	if err == nil && (obj != nil || !now) {
		s.t.Errorf("deleting %s gives %v, %v", name, obj, now)
	}
	return err
}

// list returns the keys that s lists.
func (s *system) list() *v1alpha1.SigningKeyList {
	s.t.Helper()
	obj, err := s.List(s.ctx, everything())
	if err != nil {
		s.t.Fatal(err)
	}
	return obj.(*v1alpha1.SigningKeyList)
}

func (s *system) states() string {
	s.t.Helper()
	var out []string
	for _, k := range s.list().Items {
		out = append(out, k.Name+" "+string(k.Status.State))
	}
	return strings.Join(out, ", ")
}

func TestKeysAsObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		old := s.list().Items[0]
		k := s.made(v1alpha1.ECDSAP384, "")
		if got, want := s.states(), old.Name+" Signing, "+k.Name+" Upcoming"; got != want {
			t.Errorf("keys are %s, want %s", got, want)
		}
		if k.Spec.Activation != v1alpha1.Scheduled || k.Spec.Type != v1alpha1.ECDSAP384 || k.Status.Algorithm != "ES384" ||
			!k.CreationTimestamp.Equal(k.Status.Published) || k.Status.SignsFrom.Sub(k.Status.Published.Time) < time.Hour ||
			k.Status.Expires != nil || k.Status.Retired != nil || k.Generation != 0 || len(k.UID) != 36 || k.UID == old.UID {
			t.Errorf("%+v", k)
		}
		block, _ := pem.Decode([]byte(k.Status.PublicKey))
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := boundtoken.KeyID(public); id != k.Status.KeyID || block.Type != "PUBLIC KEY" {
			t.Errorf("the public key is that of %s, want %s", id, k.Status.KeyID)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		obj, err := s.Get(s.ctx, old.Name, &metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := obj.(*v1alpha1.SigningKey)
		if got.Status.State != v1alpha1.Retired || !got.Status.Retired.Equal(k.Status.SignsFrom) || got.Status.Expires == nil || got.UID != old.UID {
			t.Errorf("%+v", got)
		}
		if _, err := s.Get(s.ctx, "other", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("another name: %v", err)
		}
		if text, _ := json.Marshal(s.list()); strings.Contains(strings.ToLower(string(text)), "private") || strings.Contains(string(text), "pkcs8") {
			t.Errorf("the list tells a secret: %s", text)
		}
	})
}

func TestWishesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		named, generated := wish("", ""), wish("", "")
		named.Name, generated.GenerateName = "mine", "mine-"
		for name, tc := range map[string]struct {
			wish *v1alpha1.SigningKey
			want string
		}{
			"type":           {wish("RSA1024", ""), `spec.type: Unsupported value: "RSA1024": supported values: "RSA2048", "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521"`},
			"activation":     {wish("", "Later"), `spec.activation: Unsupported value: "Later": supported values: "Immediate", "Scheduled"`},
			"a name":         {named, "metadata.name: Forbidden"},
			"the first part": {generated, "metadata.generateName: Forbidden"},
		} {
			if _, err := s.create(tc.wish); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %s", name, err, tc.want)
			}
		}
		no := func(context.Context, runtime.Object) error { return errors.New("not today") }
		if _, err := s.Create(s.ctx, wish("", ""), no, &metav1.CreateOptions{}); err == nil || err.Error() != "not today" {
			t.Errorf("against admission: %v", err)
		}
		if _, err := s.Create(s.ctx, &metav1.Status{}, nil, &metav1.CreateOptions{}); !apierrors.IsBadRequest(err) {
			t.Errorf("another kind: %v", err)
		}
		k := s.made("", "")
		if _, err := s.create(wish("", "")); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), k.Name) || !strings.Contains(err.Error(), "rotation is under way") {
			t.Errorf("during a rotation: %v", err)
		}
		if len(s.list().Items) != 2 {
			t.Errorf("keys are %s", s.states())
		}
	})
}

func TestWhatIsNotKeptIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		k := wish("", "")
		k.Labels, k.Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
		k.Status.State = v1alpha1.Signing
		made, err := s.create(k)
		if err != nil || len(made.Labels)+len(made.Annotations) != 0 || made.Status.State != v1alpha1.Upcoming {
			t.Errorf("%+v, %v", made, err)
		}
		if got := strings.Join(s.warnings, "; "); got != "metadata.labels: not kept, a signing key has none; metadata.annotations: not kept, a signing key has none" {
			t.Errorf("warnings %s", got)
		}
	})
}

func TestDryRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		before := s.states()
		k, err := s.create(wish("", ""), metav1.DryRunAll)
		if err != nil || k.Name != "" || k.Spec.Type != v1alpha1.ECDSAP256 || k.Status.State != v1alpha1.Upcoming || k.Status.SignsFrom == nil || k.Status.PublicKey != "" {
			t.Errorf("%+v, %v", k, err)
		}
		if now := s.states(); now != before {
			t.Errorf("keys are %s after a dry run, were %s", now, before)
		}
		upcoming := s.made("", "").Name
		if _, err := s.create(wish("", ""), metav1.DryRunAll); !apierrors.IsConflict(err) {
			t.Errorf("dry run during a rotation: %v", err)
		}
		before = s.states()
		if err := s.delete(upcoming, &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Error(err)
		}
		if err := s.delete(strings.Fields(before)[0], &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); !apierrors.IsConflict(err) {
			t.Errorf("dry run of deleting the key that signs: %v", err)
		}
		if now := s.states(); now != before {
			t.Errorf("keys are %s after a dry run, were %s", now, before)
		}
	})
}

func TestWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		retired := s.list().Items[0]
		signing := s.made("", v1alpha1.Immediate)
		upcoming := s.made("", "")
		if err := s.delete(signing.Name, nil); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "rotate first") {
			t.Errorf("the key that signs: %v", err)
		}
		if err := s.delete("other", nil); !apierrors.IsNotFound(err) {
			t.Errorf("another name: %v", err)
		}
		stale := signing.UID
		if err := s.delete(retired.Name, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &stale}}); !apierrors.IsConflict(err) {
			t.Errorf("another UID: %v", err)
		}
		no := func(context.Context, runtime.Object) error {
			return apierrors.NewForbidden(v1alpha1.Resource("signingkeys"), "x", errors.New("no"))
		}
		if _, _, err := s.Delete(s.ctx, retired.Name, no, nil); !apierrors.IsForbidden(err) {
			t.Errorf("against admission: %v", err)
		}
		if err := s.delete(retired.Name, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &retired.UID}}); err != nil {
			t.Error(err)
		}
		if err := s.delete(upcoming.Name, nil); err != nil {
			t.Error(err)
		}
		if got, want := s.states(), signing.Name+" Signing"; got != want {
			t.Errorf("keys are %s, want %s", got, want)
		}
	})
}

func TestStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.backend.mu.Lock()
		s.backend.err = errors.New("no leader")
		s.backend.mu.Unlock()
		if _, err := s.List(s.ctx, everything()); !apierrors.IsInternalError(err) {
			t.Errorf("list: %v", err)
		}
		if _, err := s.create(wish("", "")); !apierrors.IsInternalError(err) {
			t.Errorf("rotation: %v", err)
		}
		if _, err := s.create(wish("", ""), metav1.DryRunAll); !apierrors.IsInternalError(err) {
			t.Errorf("dry run: %v", err)
		}
		if _, err := s.Get(s.ctx, "x", &metav1.GetOptions{ResourceVersion: "0"}); !apierrors.IsNotFound(err) {
			t.Errorf("any version will do: %v", err)
		}
	})
}

func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		old := s.list().Items[0]
		k := s.made(v1alpha1.ECDSAP521, "")
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		table, err := s.ConvertToTable(s.ctx, s.list(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, c := range table.ColumnDefinitions {
			text = append(text, c.Name)
		}
		if got := strings.Join(text, ","); got != "Name,Type,Alg,State,Signs From,Expires,Age,Retired,Key ID" {
			t.Errorf("columns %s", got)
		}
		for i, want := range [][]any{
			{old.Name, "ECDSAP256", "ES256", "Signing", "30m ago", "in 24h", "30m", "<none>", old.Status.KeyID},
			{k.Name, "ECDSAP521", "ES512", "Upcoming", "in 30m", "<none>", "30m", "<none>", k.Status.KeyID},
		} {
			for j, cell := range table.Rows[i].Cells {
				if cell != want[j] {
					t.Errorf("row %d, %s: %v, want %v", i, text[j], cell, want[j])
				}
			}
		}
	})
}
