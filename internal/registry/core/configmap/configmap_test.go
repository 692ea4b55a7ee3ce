package configmap

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func TestValidate(t *testing.T) {
	mib := strings.Repeat("x", corev1.MaxSecretSize)
	for _, tc := range []struct {
		name   string
		config corev1.ConfigMap
		want   []string
	}{
		{"empty", corev1.ConfigMap{}, nil},
		{"good keys", corev1.ConfigMap{Data: map[string]string{"a.b-c_D": "", ".hidden": "1", "...": "2"}}, []string{
			`data[...]: Invalid value: "...": must not start with '..'`,
		}},
		{"bad keys", corev1.ConfigMap{Data: map[string]string{"a/b": "", "..": ""}, BinaryData: map[string][]byte{".": nil}}, []string{
			`data[..]: Invalid value: "..": must not be '..'`,
			`data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
			`binaryData[.]: Invalid value: ".": must not be '.'`,
		}},
		{"long key", corev1.ConfigMap{Data: map[string]string{strings.Repeat("k", 254): ""}}, []string{"must be no more than 253 characters"}},
		{"key in both", corev1.ConfigMap{Data: map[string]string{"k": ""}, BinaryData: map[string][]byte{"k": nil}}, []string{
			`data[k]: Invalid value: "k": duplicate of key present in binaryData`,
		}},
		{"at the limit", corev1.ConfigMap{Data: map[string]string{"k": mib}}, nil},
		{"over the limit", corev1.ConfigMap{Data: map[string]string{"k": mib}, BinaryData: map[string][]byte{"l": {1}}}, []string{
			"Too long: may not be more than 1048576 bytes",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { matchErrors(t, validate(&tc.config).ToAggregate(), tc.want) })
	}
}

func TestValidateImmutable(t *testing.T) {
	frozen := corev1.ConfigMap{Immutable: ptr.To(true), Data: map[string]string{"k": "v"}, BinaryData: map[string][]byte{"b": {1}}}
	const rule = "Forbidden: field is immutable when `immutable` is set"
	for _, tc := range []struct {
		name   string
		change func(*corev1.ConfigMap)
		want   []string
	}{
		{"labels only", func(c *corev1.ConfigMap) { c.Labels = map[string]string{"a": "b"} }, nil},
		{"thawed", func(c *corev1.ConfigMap) { c.Immutable = nil }, []string{"immutable: " + rule}},
		{"data", func(c *corev1.ConfigMap) { c.Data["k"] = "w" }, []string{"data: " + rule}},
		{"binary data", func(c *corev1.ConfigMap) { c.BinaryData["b"] = []byte{2} }, []string{"binaryData: " + rule}},
		{"all", func(c *corev1.ConfigMap) { *c = corev1.ConfigMap{Immutable: ptr.To(false)} }, []string{"immutable: ", "data: ", "binaryData: "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := frozen.DeepCopy()
			tc.change(c)
			matchErrors(t, validateImmutable(c, &frozen).ToAggregate(), tc.want)
		})
	}
	free := corev1.ConfigMap{Data: map[string]string{"k": "v"}}
	if errs := validateImmutable(&corev1.ConfigMap{}, &free); len(errs) > 0 {
		t.Errorf("a config map that is not immutable: %v", errs)
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

func TestRow(t *testing.T) {
	c := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "c", CreationTimestamp: metav1.NewTime(time.Now().Add(-3 * time.Minute))},
		Data:       map[string]string{"a": ""},
		BinaryData: map[string][]byte{"b": nil, "c": nil},
	}
	row := columns().Row(c)
	if len(row) != len(columns().Columns) || row[0] != "c" || row[1] != int64(3) || row[2] != "3m" {
		t.Errorf("row %v", row)
	}
}

func TestStorageRefusesAndKeeps(t *testing.T) {
	paths, err := Definition().Storages(resourcetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	store := paths["configmaps"].(rest.StandardStorage)
	ctx := resourcetest.Context(t, "ns")
	create := func(name string, c corev1.ConfigMap) error {
		c.Namespace, c.Name = "ns", name
		_, err := store.Create(ctx, &c, resourcetest.Allow, &metav1.CreateOptions{})
		return err
	}
	if err := create("Bad_Name", corev1.ConfigMap{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.name: Invalid value") {
		t.Errorf("bad name: %v", err)
	}
	huge := metav1.ObjectMeta{Annotations: map[string]string{"a": strings.Repeat("x", 300_000)}}
	if err := create("huge", corev1.ConfigMap{ObjectMeta: huge}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.annotations: Too long") {
		t.Errorf("huge annotations: %v", err)
	}
	if err := create("good", corev1.ConfigMap{Data: map[string]string{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	if err := create("good", corev1.ConfigMap{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("second of a name: %v", err)
	}
	obj, err := store.Get(ctx, "good", &metav1.GetOptions{})
	if err != nil || obj.(*corev1.ConfigMap).Data["k"] != "v" {
		t.Errorf("read back %v, %v", obj, err)
	}
}

func FuzzValidateKey(f *testing.F) {
	for _, key := range []string{"a", ".", "..", "..data", "a/b", "\x00", "ü", strings.Repeat("k", 254)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		c := &corev1.ConfigMap{Data: map[string]string{key: ""}}
		if len(validate(c)) > 0 {
			return
		}
		// Keys become file names: none that passes may leave its directory.
		if key == "" || key == "." || strings.HasPrefix(key, "..") || strings.ContainsAny(key, "/\x00\n") || len(key) > 253 {
			t.Errorf("key %q passes", key)
		}
	})
}
