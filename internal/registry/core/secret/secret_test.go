package secret

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func TestDefaults(t *testing.T) {
	s := &corev1.Secret{
		Data:       map[string][]byte{"kept": []byte("1"), "replaced": []byte("old")},
		StringData: map[string]string{"replaced": "new", "added": "2"},
	}
	resourcetest.Scheme(t, Definition().Register).Default(s)
	want := map[string][]byte{"kept": []byte("1"), "replaced": []byte("new"), "added": []byte("2")}
	if s.Type != corev1.SecretTypeOpaque || s.StringData != nil || !maps.EqualFunc(s.Data, want, slices.Equal[[]byte]) {
		t.Errorf("defaulted to %+v", s)
	}
	list := &corev1.SecretList{Items: []corev1.Secret{{StringData: map[string]string{"k": "v"}}}}
	resourcetest.Scheme(t, Definition().Register).Default(list)
	if got := list.Items[0]; got.Type != corev1.SecretTypeOpaque || string(got.Data["k"]) != "v" {
		t.Errorf("list defaulted to %+v", got)
	}
}

func TestValidate(t *testing.T) {
	data := func(keys ...string) map[string][]byte {
		m := map[string][]byte{}
		for _, k := range keys {
			m[k] = []byte("{}")
		}
		return m
	}
	for _, tc := range []struct {
		name   string
		secret corev1.Secret
		want   []string
	}{
		{"opaque", corev1.Secret{Type: "Opaque", Data: data("a", "b")}, nil},
		{"own type", corev1.Secret{Type: "example.com/own"}, nil},
		{"bad key", corev1.Secret{Type: "Opaque", Data: data("a b")}, []string{`data[a b]: Invalid value: "a b": a valid config key`}},
		{"at the limit", corev1.Secret{Data: map[string][]byte{"k": make([]byte, corev1.MaxSecretSize)}}, nil},
		{"over the limit", corev1.Secret{Data: map[string][]byte{"k": make([]byte, corev1.MaxSecretSize), "l": {1}}}, []string{"data: Too long: may not be more than 1048576 bytes"}},
		{"token", corev1.Secret{Type: corev1.SecretTypeServiceAccountToken}, []string{"metadata.annotations[kubernetes.io/service-account.name]: Required value"}},
		{"token of an account", corev1.Secret{Type: corev1.SecretTypeServiceAccountToken, ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.ServiceAccountNameKey: "sa"}}}, nil},
		{"dockercfg", corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: data(".dockercfg")}, nil},
		{"no dockercfg", corev1.Secret{Type: corev1.SecretTypeDockercfg}, []string{"data[.dockercfg]: Required value"}},
		{"no JSON", corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{".dockerconfigjson": []byte("hush")}}, []string{`data[.dockerconfigjson]: Invalid value: "<secret contents redacted>"`}},
		{"no dockerconfigjson", corev1.Secret{Type: corev1.SecretTypeDockerConfigJson}, []string{"data[.dockerconfigjson]: Required value"}},
		{"user only", corev1.Secret{Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{"username": nil}}, nil},
		{"password only", corev1.Secret{Type: corev1.SecretTypeBasicAuth, Data: data("password")}, nil},
		{"neither", corev1.Secret{Type: corev1.SecretTypeBasicAuth}, []string{"data[username]: Required value", "data[password]: Required value"}},
		{"ssh", corev1.Secret{Type: corev1.SecretTypeSSHAuth, Data: data("ssh-privatekey")}, nil},
		{"empty ssh", corev1.Secret{Type: corev1.SecretTypeSSHAuth, Data: map[string][]byte{"ssh-privatekey": nil}}, []string{"data[ssh-privatekey]: Required value"}},
		{"tls", corev1.Secret{Type: corev1.SecretTypeTLS, Data: data("tls.crt", "tls.key")}, nil},
		{"half tls", corev1.Secret{Type: corev1.SecretTypeTLS, Data: data("tls.crt")}, []string{"data[tls.key]: Required value"}},
	} {
		t.Run(tc.name, func(t *testing.T) { matchErrors(t, validate(&tc.secret).ToAggregate(), tc.want) })
	}
}

func TestValidationKeepsSecrets(t *testing.T) {
	s := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{".dockerconfigjson": []byte(`{"auth": hunter2}`)}}
	if err := validate(s).ToAggregate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the message is %v", err)
	}
}

func TestValidateImmutable(t *testing.T) {
	frozen := corev1.Secret{Type: "Opaque", Immutable: ptr.To(true), Data: map[string][]byte{"k": []byte("v")}}
	for _, tc := range []struct {
		name   string
		change func(*corev1.Secret)
		want   []string
	}{
		{"labels", func(s *corev1.Secret) { s.Labels = map[string]string{"a": "b"} }, nil},
		{"type", func(s *corev1.Secret) { s.Type = corev1.SecretTypeTLS }, []string{`type: Invalid value: "kubernetes.io/tls": field is immutable`}},
		{"thawed", func(s *corev1.Secret) { s.Immutable = nil }, []string{"immutable: Forbidden: field is immutable when `immutable` is set"}},
		{"data", func(s *corev1.Secret) { s.Data["k"] = nil }, []string{"data: Forbidden: field is immutable when `immutable` is set"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := frozen.DeepCopy()
			tc.change(s)
			matchErrors(t, validateImmutable(s, &frozen).ToAggregate(), tc.want)
		})
	}
}

func TestWarnings(t *testing.T) {
	if got := warnings(&corev1.Secret{Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": []byte("no"), "tls.key": []byte("pem")}}); len(got) != 1 || !strings.Contains(got[0], "tls: ") {
		t.Errorf("warnings about a bad pair: %q", got)
	}
	if got := warnings(&corev1.Secret{Type: "Opaque"}); len(got) != 0 {
		t.Errorf("warnings about an opaque secret: %q", got)
	}
}

func matchErrors(t *testing.T, err error, want []string) {
	t.Helper()
	if len(want) == 0 && err != nil {
		t.Fatalf("unexpected: %v", err)
	}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v\nlacks %s", err, w)
		}
	}
}

func TestStringDataIsNeverStored(t *testing.T) {
	paths, err := Definition().Storages(resourcetest.Env(t, Definition().Register))
	if err != nil {
		t.Fatal(err)
	}
	store := paths["secrets"].(rest.StandardStorage)
	ctx := resourcetest.Context(t, "ns")
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Type: "Opaque", StringData: map[string]string{"k": "v"}}
	if _, err := store.Create(ctx, s, resourcetest.Allow, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := read(t, store)
	if got.StringData != nil || string(got.Data["k"]) != "v" {
		t.Errorf("stored %+v", got)
	}
	got.StringData, got.Type = map[string]string{"k": "w"}, corev1.SecretTypeTLS
	update := func(obj *corev1.Secret) error {
		_, _, err := store.Update(ctx, "s", rest.DefaultUpdatedObjectInfo(obj), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	}
	if err := update(got); !apierrors.IsInvalid(err) {
		t.Errorf("change of the type: %v", err)
	}
	got.Type = ""
	if err := update(got); err != nil {
		t.Fatal(err)
	}
	if got := read(t, store); got.StringData != nil || string(got.Data["k"]) != "w" || got.Type != "Opaque" {
		t.Errorf("stored %+v", got)
	}
}

func read(t *testing.T, store rest.StandardStorage) *corev1.Secret {
	t.Helper()
	obj, err := store.Get(resourcetest.Context(t, "ns"), "s", &metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*corev1.Secret)
}

func TestFieldLabels(t *testing.T) {
	s := resourcetest.Scheme(t, Definition().Register)
	gvk := corev1.SchemeGroupVersion.WithKind("Secret")
	if _, _, err := s.ConvertFieldLabel(gvk, "type", "Opaque"); err != nil {
		t.Errorf("type: %v", err)
	}
	if _, _, err := s.ConvertFieldLabel(gvk, "data", "x"); err == nil {
		t.Error("data is selectable")
	}
}

func TestRow(t *testing.T) {
	row := columns().Row(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Type: "Opaque", Data: map[string][]byte{"a": nil, "b": nil}})
	if !slices.Equal(row, []any{"s", "Opaque", int64(2), "<unknown>"}) || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
}
