package projection_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

// store is what the tests' pods can refer to.
var store = projection.Sources{
	Secret: func(name string) (*corev1.Secret, error) {
		switch name {
		case "s":
			return &corev1.Secret{Data: map[string][]byte{"user": []byte("bob"), "pass": {0, 255}}}, nil
		case "forbidden":
			return nil, apierrors.NewForbidden(corev1.Resource("secrets"), name, errors.New("no"))
		}
		return nil, apierrors.NewNotFound(corev1.Resource("secret"), name)
	},
	ConfigMap: func(name string) (*corev1.ConfigMap, error) {
		switch name {
		case "c":
			return &corev1.ConfigMap{Data: map[string]string{"conf": "text"}, BinaryData: map[string][]byte{"bin": {1, 2}}}, nil
		case "both": // the API refuses it; objects of another server may have it
			return &corev1.ConfigMap{Data: map[string]string{"k": "text"}, BinaryData: map[string][]byte{"k": {1}}}, nil
		case "user":
			return &corev1.ConfigMap{Data: map[string]string{"user": "from the config map"}}, nil
		}
		return nil, apierrors.NewNotFound(corev1.Resource("configmap"), name)
	},
	Token: func(r projection.TokenRef) ([]byte, error) {
		if r.Audience == "down" {
			return nil, errors.New("failed to fetch token: no")
		}
		return fmt.Appendf(nil, "token for %q %d", r.Audience, r.ExpirationSeconds), nil
	},
}

func parse[T any](t testing.TB, text string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// show writes a tree as "path mode uid:gid content", one file a line.
func show(t atomicdir.Tree) string {
	id := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	var lines []string
	for _, f := range t.Files {
		lines = append(lines, fmt.Sprintf("%s %04o %s:%s %s", f.Path, f.Mode, id(f.UID), id(f.GID), f.Data))
	}
	return strings.Join(lines, "\n")
}

func TestVolume(t *testing.T) {
	const meta = "metadata: {name: p, namespace: ns, uid: u, labels: {b: '2', a: '1'}, annotations: {k: \"multi\\nline\"}}\n"
	for _, tc := range []struct{ name, pod, volume, want, err string }{
		{"whole secret", "", "secret: {secretName: s}", "pass 0644 -:- \x00\xff\nuser 0644 -:- bob", ""},
		{"secret items and modes", "", "secret: {secretName: s, defaultMode: 0400, items: [{key: user, path: a/b}, {key: pass, path: c, mode: 0777}]}", "a/b 0400 -:- bob\nc 0777 -:- \x00\xff", ""},
		{"secret missing", "", "secret: {secretName: none}", "", `secret "none" not found`},
		{"secret optional and missing", "", "secret: {secretName: none, optional: true, items: [{key: a, path: b}]}", "", ""},
		{"secret optional but forbidden", "", "secret: {secretName: forbidden, optional: true}", "", "forbidden"},
		{"secret key missing", "", "secret: {secretName: s, items: [{key: user, path: a}, {key: nope, path: b}]}", "", "references non-existent secret key: nope"},
		{"secret key missing and optional", "", "secret: {secretName: s, optional: true, items: [{key: user, path: a}, {key: nope, path: b}]}", "a 0644 -:- bob", ""},

		{"whole config map", "", "configMap: {name: c}", "bin 0644 -:- \x01\x02\nconf 0644 -:- text", ""},
		{"config map items", "", "configMap: {name: c, defaultMode: 0444, items: [{key: bin, path: x}]}", "x 0444 -:- \x01\x02", ""},
		{"data over binaryData, with items", "", "configMap: {name: both, items: [{key: k, path: a/b/c/d}]}", "a/b/c/d 0644 -:- text", ""},
		{"binaryData over data, without", "", "configMap: {name: both}", "k 0644 -:- \x01", ""},
		{"one key at two paths", "", "configMap: {name: c, items: [{key: conf, path: a/x}, {key: conf, path: b/x, mode: 0}]}", "a/x 0644 -:- text\nb/x 0000 -:- text", ""},
		{"of two items at one path the later", "", "secret: {secretName: s, items: [{key: pass, path: a//x}, {key: user, path: ./a/x}]}", "a/x 0644 -:- bob", ""},
		{"config map missing", "", "configMap: {name: none}", "", `configmap "none" not found`},
		{"config map optional and missing", "", "configMap: {name: none, optional: true}", "", ""},
		{"config map key missing", "", "configMap: {name: c, items: [{key: nope, path: a}]}", "", "configmap references non-existent config key: nope"},

		{"downward", meta, "downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}, {path: d/a, mode: 0400, fieldRef: {fieldPath: \"metadata.annotations['k']\"}}, {path: own, fieldRef: {apiVersion: v1, fieldPath: metadata.name}}]}",
			"d/a 0400 -:- multi\nline\nl 0644 -:- a=\"1\"\nb=\"2\"\nown 0644 -:- p", ""},
		{"downward refuses what changes without the pod", meta, "downwardAPI: {items: [{path: ip, fieldRef: {fieldPath: status.podIP}}, {path: x, fieldRef: {fieldPath: spec.nodeName}}]}", "",
			"[unsupported fieldPath: status.podIP, unsupported fieldPath: spec.nodeName]"},

		{"projected, all kinds", meta, `projected: {defaultMode: 0440, sources: [{secret: {name: s, items: [{key: user, path: g/u, mode: 0777}]}}, {configMap: {name: c, items: [{key: conf, path: g/c}]}},
			{downwardAPI: {items: [{path: ns, fieldRef: {fieldPath: metadata.namespace}}]}}, {serviceAccountToken: {path: t, audience: vault, expirationSeconds: 7200}}, {}]}`,
			"g/c 0440 -:- text\ng/u 0777 -:- bob\nns 0440 -:- ns\nt 0440 -:- token for \"vault\" 7200", ""},
		{"projected, later over earlier", "", "projected: {sources: [{secret: {name: s, items: [{key: user, path: user}]}}, {configMap: {name: user}}]}", "user 0644 -:- from the config map", ""},
		{"projected, whole over whole", "", "projected: {sources: [{secret: {name: s}}, {configMap: {name: user}}]}", "pass 0644 -:- \x00\xff\nuser 0644 -:- from the config map", ""},
		{"projected, optional and missing takes nothing away", "", "projected: {sources: [{secret: {name: s, items: [{key: user, path: user}]}}, {configMap: {name: none, optional: true}}]}", "user 0644 -:- bob", ""},
		{"projected, a missing key blocks all", "", "projected: {sources: [{secret: {name: s, items: [{key: user, path: u}, {key: nope, path: m}]}}, {configMap: {name: c, items: [{key: nix, path: x}]}}]}", "",
			"[references non-existent secret key: nope, configmap references non-existent config key: nix]"},
		{"projected, one spelling", "", "projected: {sources: [{secret: {name: s, items: [{key: user, path: a/./b}]}}, {configMap: {name: c, items: [{key: conf, path: a//b}]}}]}", "a/b 0644 -:- text", ""},
		{"projected, all errors", "", "projected: {sources: [{secret: {name: none}}, {configMap: {name: none}}, {serviceAccountToken: {path: t, audience: down}}]}", "",
			`[secret "none" not found, configmap "none" not found, failed to fetch token: no]`},
		{"projected, token defaults", "", "projected: {sources: [{serviceAccountToken: {path: t}}]}", `t 0644 -:- token for "" 3600`, ""},

		{"token, user", "spec: {securityContext: {runAsUser: 1000}, containers: [{name: c}]}", "projected: {sources: [{serviceAccountToken: {path: t}}, {secret: {name: s, items: [{key: user, path: u}]}}]}",
			"t 0600 1000:- token for \"\" 3600\nu 0644 -:- bob", ""},
		{"token, group", "spec: {securityContext: {fsGroup: 10000}, containers: [{name: c}]}", "projected: {defaultMode: 0400, sources: [{serviceAccountToken: {path: t}}, {secret: {name: s, items: [{key: user, path: u}]}}]}",
			"t 0640 -:10000 token for \"\" 3600\nu 0440 -:10000 bob", ""},
		{"token, both", "spec: {securityContext: {fsGroup: 10000, runAsUser: 1000}, containers: [{name: c}]}", "projected: {sources: [{serviceAccountToken: {path: t}}]}", "t 0640 1000:10000 token for \"\" 3600", ""},
		{"token, root", "spec: {containers: [{name: c, securityContext: {runAsUser: 0}}]}", "projected: {sources: [{serviceAccountToken: {path: t}}]}", "t 0600 0:- token for \"\" 3600", ""},

		{"other kind", "", "hostPath: {path: /}", "", `volume of kind "hostPath" is not supported`},
		{"other source", "", "projected: {sources: [{clusterTrustBundle: {path: x}}]}", "", `projected source of kind "clusterTrustBundle" is not supported`},
		{"no kind", "", "{}", "", `volume of kind "" is not supported`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree, err := projection.Volume(parse[corev1.Pod](t, tc.pod), parse[corev1.Volume](t, tc.volume), store)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if got := show(tree); got != tc.want {
				t.Errorf("got\n%q\nwant\n%q", got, tc.want)
			}
		})
	}
}

func TestUnsupportedIsTyped(t *testing.T) {
	for _, text := range []string{"hostPath: {path: /}", "projected: {sources: [{podCertificate: {signerName: x/y}}]}", "secret: {secretName: s}", "configMap: {name: c}", "projected: {sources: [{serviceAccountToken: {path: t}}]}"} {
		_, err := projection.Volume(&corev1.Pod{}, parse[corev1.Volume](t, text), projection.Sources{})
		if !errors.Is(err, projection.ErrUnsupported) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhatAVolumeNeeds(t *testing.T) {
	v := parse[corev1.Volume](t, `projected: {sources: [{secret: {name: a}}, {configMap: {name: a}}, {secret: {name: a}}, {serviceAccountToken: {path: t}}, {serviceAccountToken: {path: u, audience: x, expirationSeconds: 600}}, {serviceAccountToken: {path: w, expirationSeconds: 3600}}]}`)
	if got, want := projection.Refs(v), []projection.Ref{{Kind: projection.Secret, Name: "a"}, {Kind: projection.ConfigMap, Name: "a"}}; !slices.Equal(got, want) {
		t.Errorf("refs %v", got)
	}
	if projection.Secret.APIKind() != "Secret" || projection.ConfigMap.APIKind() != "ConfigMap" || projection.ObjectKind("pod").APIKind() != "" {
		t.Error("kinds are called otherwise in the API")
	}
	if got, want := projection.Tokens(v), []projection.TokenRef{{ExpirationSeconds: 3600}, {Audience: "x", ExpirationSeconds: 600}}; !slices.Equal(got, want) {
		t.Errorf("tokens %v", got)
	}
	for text, want := range map[string]bool{
		"downwardAPI: {items: []}":                    true,
		"projected: {sources: [{downwardAPI: {}}]}":   true,
		"projected: {sources: [{secret: {name: a}}]}": false,
		"secret: {secretName: a}":                     false,
	} {
		if got := projection.ReadsPod(parse[corev1.Volume](t, text)); got != want {
			t.Errorf("ReadsPod(%s) = %v", text, got)
		}
	}
	if got := projection.Refs(parse[corev1.Volume](t, "emptyDir: {}")); got != nil {
		t.Errorf("emptyDir refers to %v", got)
	}
}

func TestFSUser(t *testing.T) {
	for _, tc := range []struct{ spec, want string }{
		{"{containers: [{name: a}]}", "none"},
		{"{securityContext: {runAsUser: 5}, containers: [{name: a}]}", "5"},
		{"{securityContext: {runAsUser: 5}, containers: [{name: a, securityContext: {runAsUser: 6}}]}", "6"},
		{"{securityContext: {runAsUser: 5}, containers: [{name: a}, {name: b, securityContext: {runAsUser: 6}}]}", "none"},
		{"{containers: [{name: a, securityContext: {runAsUser: 6}}, {name: b}]}", "none"},
		{"{containers: [{name: a, securityContext: {runAsUser: 6}}, {name: b, securityContext: {runAsUser: 6}}]}", "6"},
		{"{initContainers: [{name: i}], containers: [{name: a, securityContext: {runAsUser: 6}}]}", "none"},
		{"{ephemeralContainers: [{name: i}], containers: [{name: a, securityContext: {runAsUser: 6}}]}", "none"},
		{"{securityContext: {runAsUser: 0}, containers: [{name: a, securityContext: {privileged: true}}]}", "0"},
		{"{}", "none"},
	} {
		got := "none"
		if user := projection.FSUser(&corev1.Pod{Spec: *parse[corev1.PodSpec](t, tc.spec)}); user != nil {
			got = fmt.Sprint(*user)
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.spec, got, tc.want)
		}
	}
}

// FuzzPaths holds that whatever path a pod gives, the volume is refused or shows it
// at its cleaned form, and that two sources never make two files of one path.
func FuzzPaths(f *testing.F) {
	for _, p := range []string{"a", "a/b", "../a", "/etc", "..data", "a//b", "./..x", ".", "a/../b", "a/\x00"} {
		f.Add(p, "other")
	}
	f.Fuzz(func(t *testing.T, p, q string) {
		v := &corev1.Volume{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Items: []corev1.KeyToPath{{Key: "user", Path: p}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: q, FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}},
		}}}}
		tree, err := projection.Volume(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bob"}}, v, store)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, file := range tree.Files {
			if seen[file.Path] || string(file.Data) != "bob" {
				t.Fatalf("%q, %q: file %q twice or wrong: %q", p, q, file.Path, file.Data)
			}
			seen[file.Path] = true
			if atomicdir.CheckPath(file.Path) == nil && atomicdir.CheckPath(p) != nil && atomicdir.CheckPath(q) != nil && !strings.Contains(p+q, "..") && len(p)+len(q) < 255 && p[0] != '/' {
				t.Fatalf("%q, %q: %q became allowed by cleaning", p, q, file.Path)
			}
		}
	})
}
