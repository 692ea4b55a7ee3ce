package quantity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/registry/wire"
)

const (
	js    = "application/json"
	yml   = "application/yaml"
	patch = "application/json-patch+json"
	proto = "application/vnd.kubernetes.protobuf"
)

func guard(t testing.TB) *Guard {
	t.Helper()
	s := runtime.NewScheme()
	if err := corev1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return NewGuard(s)
}

// limits is a pod with a limit as it is written.
func limits(cpu string) string {
	return fmt.Sprintf(`{"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": %s}}}]}}`, cpu)
}

func of(kind, body string) string { return fmt.Sprintf(`{"kind": %q, %s`, kind, body[1:]) }

func TestCheck(t *testing.T) {
	g := guard(t)
	const cpu = "/spec/containers/0/resources/limits/cpu"
	for _, c := range []struct {
		mediaType, plural, body string
		refused                 bool
	}{
		{js, "pods", limits(`"1e3"`), false},
		{js, "pods", limits(`"1E"`), false},
		{js, "pods", limits(`1e10`), false},
		{js, "pods", limits(`"1e-0000000009"`), false},
		{js, "pods", limits(`"1e-000000000101"`), true},
		{js, "pods", limits(`"1e-2147483647"`), true},
		{js, "pods", limits(`"1E+99999"`), true},
		{js, "pods", limits(`1e-10000`), true},
		{js, "pods", limits(`"\u0031\u0065-99999"`), true},
		{js, "pods", limits(`".e999"`), true},
		{js, "pods", strings.Replace(limits(`"1", "cpu": "1e999"`), `"limits"`, `"LIMITS"`, 1), true},
		{js, "pods", limits(`"1e999", "cpu": "1"`), true},
		{js, "pods", `{"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1e999"}}]}}`, true},
		{js, "pods", `{"spec": {"containers": [{"env": [{"valueFrom": {"resourceFieldRef": {"divisor": "1e999"}}}]}]}}`, true},
		{js, "nodes", `{"status": {"capacity": {"cpu": "1e999"}}}`, true},
		{js, "pods", `{"status": {"capacity": {"cpu": "1e999"}}}`, false},
		{js, "pods", `{"not": json 1e999`, false},

		// What looks like one and is none: names, hashes of commits.
		{js, "pods", `{"metadata": {"name": "5e43123", "labels": {"commit": "5e43123", "5e43123": "a"}}}`, false},
		{js, "pods", `{"spec": {"containers": [{"name": "1e999", "env": [{"name": "E101", "value": "1e999"}], "args": ["1e999"]}]}}`, false},
		{js, "configmaps", `{"data": {"limits": "1e999", "cpu": "1e999"}}`, false},

		// The server decodes the kind that the body names.
		{js, "configmaps", of("Pod", limits(`"1e999"`)), true},
		{js, "selfsubjectaccessreviews", of("Pod", limits(`"1e999"`)), true},
		{js, "configmaps", of("ConfigMap", of("Pod", limits(`"1e999"`))), true},
		{js, "configmaps", strings.Replace(of("Pod", limits(`"1e999"`)), "kind", "Kind", 1), true},
		{js, "configmaps", of("PodTemplate", `{"template": `+limits(`"1e999"`)+`}`), true},
		{js, "configmaps", of("PodList", `{"items": [`+limits(`"1e999"`)+`]}`), true},
		{js, "configmaps", of("Pod", limits(`"1e9"`)), false},

		{yml, "pods", limits(`'1e-99999'`), true},
		{yml, "pods", limits(`"\x31e-99999"`), true},
		{yml, "pods", limits(`1e-99999`), false}, // a float, which YAML makes 0
		{yml, "pods", "\t: not yaml 1e999", false},
		{"application/apply-patch+yaml", "pods", limits(`'5e5000'`), true},
		{"application/merge-patch+json", "pods", limits(`"5e5000"`), true},
		{"application/strategic-merge-patch+json", "pods", limits(`"5e5000"`), true},
		{"", "pods", limits(`"1e999"`), true},

		{patch, "pods", `[{"op": "add", "path": "` + cpu + `", "value": "1e999"}]`, true},
		{patch, "pods", `[{"op": "add", "path": "/spec/containers/-", "value": {"resources": {"limits": {"cpu": "1e999"}}}}]`, true},
		{patch, "pods", `[{"op": "replace", "path": "", "value": ` + limits(`"1e999"`) + `}]`, true},
		{patch, "pods", `[{"op": "add", "path": "/metadata/labels/commit", "value": "5e43123"}]`, false},
		{patch, "pods", `[{"op": "copy", "from": "/metadata/labels/e999", "path": "` + cpu + `"}]`, true},
		{patch, "pods", `[{"op": "move", "from": "/metadata/annotations/e999", "path": "/spec/volumes/0/emptyDir"}]`, true},
		{patch, "pods", `[{"op": "copy", "from": "` + cpu + `", "path": "/spec/containers/1/resources/limits/e999"}]`, false},
		{patch, "configmaps", `[{"op": "replace", "path": "/kind", "value": "Pod"}, {"op": "add", "path": "/spec", "value": {"overhead": {"cpu": "1e999"}}}]`, true},
		{patch, "configmaps", `[{"op": "add", "path": "/data/kind", "value": "1e999"}]`, false},
		{patch, "pods", `1e999`, false},
	} {
		if err := g.Check(c.mediaType, c.plural, []byte(c.body)); (err != nil) != c.refused {
			t.Errorf("%s %s %s: %v", c.mediaType, c.plural, c.body, err)
		}
	}
	err := g.Check(js, "pods", []byte(limits(`"1e-`+strings.Repeat("9", 1000)+`"`)))
	if err == nil || len(err.Error()) > 150 {
		t.Errorf("message %v", err)
	}
}

// encode returns an object as it is sent.
func encode(t testing.TB, kind string, raw []byte) []byte {
	t.Helper()
	body, err := (&runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: kind}, Raw: raw}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("k8s\x00"), body...)
}

// bytesField returns a field of a message.
func bytesField(number byte, content []byte) []byte {
	out := []byte{number<<3 | wire.Bytes}
	for n := len(content); ; n >>= 7 {
		if n < 0x80 {
			return append(append(out, byte(n)), content...)
		}
		out = append(out, byte(n)|0x80)
	}
}

func TestCheckProtobuf(t *testing.T) {
	g := guard(t)
	pod := func(cpu string) []byte {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "5e43123", Labels: map[string]string{"5e43123": "1e999"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "1e999", Env: []corev1.EnvVar{{Name: "E101", Value: "1e999"}},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}},
		}
		raw, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	// Bytes that Kubernetes' encoder does not write and its decoder reads.
	sizeLimit := func(quantity []byte) []byte {
		emptyDir := bytesField(2, quantity)
		return bytesField(2, bytesField(1, bytesField(2, bytesField(2, emptyDir))))
	}
	long := []byte("1e-" + strings.Repeat("0", 200) + "999999")
	const wireStart, wireEnd = 3, 4
	group := []byte{9<<3 | wireStart, 1<<3 | wire.Varint, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 9<<3 | wireEnd}
	for name, c := range map[string]struct {
		plural, kind string
		raw          []byte
		refused      bool
	}{
		"a right pod":              {"pods", "Pod", pod("1e3"), false},
		"an absurd limit":          {"pods", "Pod", pod("1e99999"), true},
		"without a kind":           {"pods", "", pod("1e99999"), true},
		"sent elsewhere":           {"configmaps", "Pod", pod("1e99999"), true},
		"no pod":                   {"configmaps", "ConfigMap", pod("1e99999"), false},
		"a volume's size":          {"pods", "Pod", sizeLimit(bytesField(1, []byte("1e999"))), true},
		"a long number":            {"pods", "Pod", sizeLimit(bytesField(1, long)), true},
		"after an unknown field":   {"pods", "Pod", sizeLimit(append(bytesField(7, []byte("x")), bytesField(1, []byte("1e999"))...)), true},
		"after a group":            {"pods", "Pod", append(group, sizeLimit(bytesField(1, []byte("1e999")))...), true},
		"twice":                    {"pods", "Pod", sizeLimit(append(bytesField(1, []byte("1")), bytesField(1, []byte("1e999"))...)), true},
		"before what is no field":  {"pods", "Pod", append(sizeLimit(bytesField(1, []byte("1e999"))), 0xff), true},
		"another field of a quant": {"pods", "Pod", sizeLimit(bytesField(2, []byte("1e999"))), false},
	} {
		if err := g.Check(proto, c.plural, encode(t, c.kind, c.raw)); (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.Check(proto, "pods", []byte("1e999")); err != nil {
		t.Errorf("no message: %v", err)
	}
}

// FuzzCheck decodes what passes: it must not take long.
func FuzzCheck(f *testing.F) {
	f.Add(js, []byte(limits(`"1e99"`)))
	f.Add(yml, []byte(limits(`1e-5`)))
	f.Add(patch, []byte(`[{"op": "add", "path": "/spec/overhead/cpu", "value": "1e999"}]`))
	f.Add(proto, encode(f, "Pod", bytesField(2, bytesField(1, bytesField(2, bytesField(2, bytesField(2, bytesField(1, []byte("1e99")))))))))
	g := guard(f)
	f.Fuzz(func(t *testing.T, mediaType string, body []byte) {
		if g.Check(mediaType, "pods", body) != nil || mediaType != proto {
			return
		}
		var envelope runtime.Unknown
		if len(body) < 4 || envelope.Unmarshal(body[4:]) != nil {
			return
		}
		began := time.Now()
		_ = (&corev1.Pod{}).Unmarshal(envelope.Raw)
		if took := time.Since(began); took > time.Second {
			t.Errorf("decoding took %s", took)
		}
	})
}
