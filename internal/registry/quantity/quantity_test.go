package quantity

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestCheckBody(t *testing.T) {
	const js, yml = "application/json", "application/yaml"
	for _, c := range []struct {
		mediaType, body string
		refused         bool
	}{
		{js, `{"cpu": "1e3", "memory": "1Gi", "e": "1E", "x": 1e10, "y": "1e-9"}`, false},
		{js, `{"cpu": "1e-2147483647"}`, true},
		{js, `{"cpu": "1E+99999"}`, true},
		{js, `{"cpu": 1e-10000}`, true},
		{js, `{"cpu": "\u0031\u0065-99999"}`, true},
		{js, `{"cpu": "1e-0000000009"}`, false},
		{js, `{"cpu": "1e-000000000101"}`, true},
		{js, `{"cpu": ".e999"}`, true},
		{js, `[{"op": "add", "path": "/spec", "value": {"deep": ["1e999"]}}]`, true},
		{js, `{"id": "f81d4f1e-12345678-1e99999x"}`, false},
		{js, `{"not": json`, false},
		{js, "cpu: '1e-99999'\n", true},
		{yml, "cpu: '1e-99999'\n", true},
		{yml, "cpu: 1e-99999\n", false}, // a float, which YAML makes 0
		{yml, `cpu: "\x31e-99999"`, true},
		{yml, "cpu: 1e3\n", false},
		{yml, "\t: not yaml", false},
		{"application/apply-patch+yaml", "resources: {limits: {cpu: '5e5000'}}", true},
		{"", `{"cpu": "1e999"}`, true},
	} {
		if err := CheckBody(c.mediaType, []byte(c.body)); (err != nil) != c.refused {
			t.Errorf("%s %s: %v", c.mediaType, c.body, err)
		}
	}
	err := CheckBody(js, []byte(`{"cpu": "1e-`+strings.Repeat("9", 1000)+`"}`))
	if err == nil || len(err.Error()) > 150 {
		t.Errorf("message %v", err)
	}
}

func TestCheckProtobuf(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Env: []corev1.EnvVar{{Name: "N", Value: "x"}},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1e3")}}}}}}
	body, err := pod.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckBody("application/vnd.kubernetes.protobuf", body); err != nil {
		t.Errorf("a right pod: %v", err)
	}
	pod.Spec.Containers[0].Resources.Limits["cpu"] = resource.MustParse("1e99999")
	if body, err = pod.Marshal(); err != nil {
		t.Fatal(err)
	}
	if err := CheckBody("application/vnd.kubernetes.protobuf", body); err == nil {
		t.Error("an absurd quantity is accepted")
	}
}

func TestCap(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "1e3": "1e3", "100m": "100m", "1Gi": "1Gi", "1e18": "1e18", "9e18": "9e18", "1E": "1E", "-5": "-5", "1e-9": "1n",
		"1e1000000": "9223372036854775807", "-1e1000000": "-9223372036854775807", "0e1000000": "0", "12e100": "9223372036854775807",
	} {
		start := time.Now()
		got := Cap(resource.MustParse(in))
		got.Cmp(resource.MustParse("1"))
		if got.String() != want && got.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s capped to %s, want %s", in, got.String(), want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", in, took)
		}
	}
}

func FuzzCheckBody(f *testing.F) {
	f.Add("application/json", []byte(`{"a": "1e99", "b": [1, "2e-3"]}`))
	f.Add("application/yaml", []byte("a: 1e-5"))
	f.Add("application/vnd.kubernetes.protobuf", []byte("\x0a\x041e99"))
	f.Fuzz(func(_ *testing.T, mediaType string, body []byte) { _ = CheckBody(mediaType, body) })
}
