package podcontent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func template(t *testing.T, text string) *corev1.PodTemplateSpec {
	t.Helper()
	out := &corev1.PodTemplateSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestParseRequest(t *testing.T) {
	long := make([]string, MaxObjects+1)
	for i := range long {
		long[i] = fmt.Sprintf("configmap/c%d", i)
	}
	for text, want := range map[string]string{
		"auto": "auto", " auto ": "auto",
		"secret/b, configmap/a,secret/b": "[configmap/a secret/b]",
		"":                               `"" is neither configmap/NAME nor secret/NAME`,
		"configmap/a,":                   `"" is neither`,
		"configmaps/a":                   `"configmaps/a" is neither`,
		"configmap/A":                    `"A" is no name of a configmap: `,
		"secret/a/b":                     `"a/b" is no name of a secret: `,
		"auto,secret/a":                  `"auto" is neither`,
		strings.Join(long, ","):          "129 objects count, and at most 128 may",
		strings.Repeat("x", 40000):       "it has 40000 bytes",
	} {
		r, err := ParseRequest(text)
		got := fmt.Sprint(r.Objects)
		if r.Auto {
			got = "auto"
		}
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || err != nil && !strings.HasPrefix(got, want) {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
}

const reader = `
metadata:
  annotations:
    laterna.dev/on-update: |
      - {volumes: [told, half, sub], container: main, signal: SIGHUP}
      - {volumes: [checked], container: main, check: [test, "$(LATERNA_CANDIDATE)"]}
      - {volumes: [restarted], container: main, restart: true}
      - {volumes: [early], container: main, exec: [x]}
spec:
  imagePullSecrets: [{name: pull}]
  initContainers:
  - {name: init, volumeMounts: [{name: early, mountPath: /e}]}
  containers:
  - name: main
    env:
    - {name: A, valueFrom: {configMapKeyRef: {name: part, key: b}}}
    - {name: B, valueFrom: {configMapKeyRef: {name: part, key: a}}}
    - {name: C, valueFrom: {configMapKeyRef: {name: part, key: a}}}
    - {name: D, valueFrom: {secretKeyRef: {name: whole, key: a}}}
    envFrom: [{secretRef: {name: whole}}]
    volumeMounts:
    - {name: told, mountPath: /1}
    - {name: checked, mountPath: /2}
    - {name: half, mountPath: /3}
    - {name: sub, mountPath: /4, subPath: f}
    - {name: restarted, mountPath: /5, subPath: f}
    - {name: early, mountPath: /6}
  - {name: other, volumeMounts: [{name: half, mountPath: /3}]}
  volumes:
  - {name: told, configMap: {name: told}}
  - {name: checked, configMap: {name: checked}}
  - {name: half, secret: {secretName: half, items: [{key: k, path: p}]}}
  - {name: sub, configMap: {name: sub}}
  - {name: restarted, configMap: {name: restarted}}
  - {name: early, projected: {sources: [{configMap: {name: early}}, {serviceAccountToken: {path: t}}]}}
  - {name: unmounted, configMap: {name: unmounted}}
  - {name: foreign, azureFile: {secretName: azure, shareName: s}}
`

func TestWhatCounts(t *testing.T) {
	for request, want := range map[string][]string{
		"auto": {
			"configmap/checked []", "configmap/early []", "configmap/part [a b]", "configmap/sub []", "configmap/unmounted []",
			"secret/half [k]", "secret/whole []",
		},
		"configmap/told,secret/half,secret/elsewhere,configmap/part": {
			"configmap/part [a b]", "configmap/told []", "secret/elsewhere []", "secret/half [k]",
		},
	} {
		r, err := ParseRequest(request)
		if err != nil {
			t.Fatal(err)
		}
		reads, err := Reads(r, template(t, reader))
		var got []string
		for _, r := range reads {
			got = append(got, fmt.Sprint(r.Object, r.Keys))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\ngot  %q\nwant %q", request, err, got, want)
		}
	}
	follows := template(t, reader)
	follows.Annotations["laterna.dev/subpath-updates"] = "true"
	reads, err := Reads(Request{Auto: true}, follows)
	if err != nil || slices.ContainsFunc(reads, func(r Read) bool { return r.Name == "sub" }) {
		t.Errorf("a subPath that follows counts: %v, %v", reads, err)
	}
	many := template(t, "spec: {}")
	for i := range MaxObjects + 1 {
		many.Spec.Volumes = append(many.Spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: fmt.Sprint("s", i)}}})
	}
	if _, err := Reads(Request{Auto: true}, many); err == nil {
		t.Error("too many objects are read")
	}
}

func TestDigestsTellContentAndNothingElse(t *testing.T) {
	key, other := Key{1}, Key{2}
	configMap := func(data map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "1"}, Data: data}
	}
	of := func(k Key, namespace string, r Read, obj metav1.Object) string {
		t.Helper()
		d, err := k.Digest(namespace, r, obj)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	all, part := Read{Object{ConfigMap, "c"}, nil}, Read{Object{ConfigMap, "c"}, []string{"a"}}
	first := of(key, "n", all, configMap(map[string]string{"a": "1", "b": "2"}))
	anew := configMap(map[string]string{"a": "1"})
	anew.UID, anew.ResourceVersion, anew.BinaryData = "v", "9", map[string][]byte{"b": []byte("2")}
	if got := of(key, "n", all, anew); got != first || len(first) != 16 {
		t.Errorf("the same content made anew: %s, %s", first, got)
	}
	for name, got := range map[string]string{
		"another value":     of(key, "n", all, configMap(map[string]string{"a": "1", "b": "3"})),
		"a key less":        of(key, "n", all, configMap(map[string]string{"a": "1"})),
		"a border moved":    of(key, "n", all, configMap(map[string]string{"a": "1b", "b": ""})),
		"another key":       of(other, "n", all, configMap(map[string]string{"a": "1", "b": "2"})),
		"another namespace": of(key, "m", all, configMap(map[string]string{"a": "1", "b": "2"})),
		"another name":      of(key, "n", Read{Object{ConfigMap, "d"}, nil}, configMap(map[string]string{"a": "1", "b": "2"})),
		"a part":            of(key, "n", part, configMap(map[string]string{"a": "1", "b": "2"})),
		"nothing":           of(key, "n", all, nil),
	} {
		if got == first {
			t.Errorf("%s has the same digest", name)
		}
	}
	if a, b := of(key, "n", part, configMap(map[string]string{"a": "1", "b": "2"})), of(key, "n", part, configMap(map[string]string{"a": "1"})); a != b {
		t.Error("a key counts that nobody reads")
	}
	secret := &corev1.Secret{Data: map[string][]byte{"a": []byte("1"), "b": []byte("2")}}
	if of(key, "n", Read{Object{Secret, "c"}, nil}, secret) == first {
		t.Error("a secret and a ConfigMap are alike")
	}
	if _, err := key.Digest("n", all, &corev1.Pod{}); err == nil {
		t.Error("a pod has a digest")
	}
	if text := fmt.Sprintf("%v %+v %#v %s", key, key, key, key); strings.Contains(text, "1") {
		t.Error("the key is printed: " + text)
	}
}

func TestDigestsAreRememberedAndCompared(t *testing.T) {
	a, b, c := Object{ConfigMap, "a"}, Object{Secret, "b"}, Object{Secret, "c"}
	d := Digests{a: "1", b: "2", c: absent}
	if text := d.String(); text != "configmap/a=1,secret/b=2,secret/c=absent" || fmt.Sprint(ParseDigests(text)) != fmt.Sprint(d) {
		t.Errorf("%s, %v", text, ParseDigests(text))
	}
	if changed := d.Changed(Digests{a: "1", b: "1", c: "3"}); fmt.Sprint(changed) != "[secret/b secret/c]" {
		t.Errorf("changed %v", changed)
	}
	if changed := d.Changed(nil); len(changed) != 0 {
		t.Errorf("of what was not known, %v has changed", changed)
	}
	d.Since(Digests{c: "3", b: "0"})
	if d[c] != "3" || d[b] != "2" {
		t.Errorf("remembered %v", d)
	}
	for _, text := range []string{"", ",", "x", "=", "/=", "a=b", strings.Repeat("a/b=c,", 100000)} {
		if got := ParseDigests(text); len(got) > 1 {
			t.Errorf("%.10q: %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("configmap/a,secret/b", "configmap/a=1,secret/b=absent")
	f.Fuzz(func(t *testing.T, request, digests string) {
		if r, err := ParseRequest(request); err == nil && !r.Auto {
			if again, err := ParseRequest(joined(r.Objects)); err != nil || !slices.Equal(again.Objects, r.Objects) {
				t.Errorf("%q: %v, then %v, %v", request, r, again, err)
			}
		}
		if d := ParseDigests(digests); ParseDigests(d.String()).String() != d.String() {
			t.Errorf("%q: %q", digests, d)
		}
	})
}

func joined(objects []Object) string {
	var parts []string
	for _, o := range objects {
		parts = append(parts, o.String())
	}
	return strings.Join(parts, ",")
}
