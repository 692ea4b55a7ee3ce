package projection_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

func credentials(m map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

func TestCredentials(t *testing.T) {
	const token = "{serviceAccountToken: {path: d/./t, audience: vault}}, "
	for _, tc := range []struct{ name, sources, tree, built, certain, err string }{
		{"a token and content", token + "{secret: {name: s, items: [{key: user, path: u}]}}", "d/t 0644 -:- token for \"vault\" 3600\nu 0644 -:- bob", "d/t", "d/t", ""},
		{"a later item takes the path", token + "{secret: {name: s, items: [{key: user, path: d//t}]}}", "d/t 0644 -:- bob", "", "", ""},
		{"a later Downward API file takes it", token + "{downwardAPI: {items: [{path: d/t, fieldRef: {fieldPath: metadata.name}}]}}", "d/t 0644 -:- p", "", "", ""},
		{"an earlier item loses it", "{secret: {name: s, items: [{key: user, path: d/t}]}}, " + token, "d/t 0644 -:- token for \"vault\" 3600", "d/t", "d/t", ""},
		{"whole source later, no such key", "{serviceAccountToken: {path: t}}, {secret: {name: s}}", "pass 0644 -:- \x00\xff\nt 0644 -:- token for \"\" 3600\nuser 0644 -:- bob", "t", "", ""},
		{"whole source later, same key", "{serviceAccountToken: {path: user}}, {secret: {name: s}}", "pass 0644 -:- \x00\xff\nuser 0644 -:- bob", "", "", ""},
		{"whole source cannot nest", token + "{configMap: {name: c}}", "bin 0644 -:- \x01\x02\nconf 0644 -:- text\nd/t 0644 -:- token for \"vault\" 3600", "d/t", "d/t", ""},
		{"content fails, before and after", "{configMap: {name: none}}, " + token + "{secret: {name: s}}, {secret: {name: gone}}", "d/t 0644 -:- token for \"vault\" 3600", "d/t", "d/t",
			`[configmap "none" not found, secret "gone" not found]`},
		{"one token of two fails", token + "{serviceAccountToken: {path: x, audience: down}}, {secret: {name: s, items: [{key: user, path: u}]}}", "d/t 0644 -:- token for \"vault\" 3600", "d/t", "d/t x", "failed to fetch token: no"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := parse[corev1.Volume](t, "projected: {sources: ["+tc.sources+"]}")
			built, err := projection.Build(parse[corev1.Pod](t, "metadata: {name: p}"), v, store)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || err.Error() != tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if got := show(built.Tree); got != tc.tree {
				t.Errorf("tree\n%q\nwant\n%q", got, tc.tree)
			}
			if got := credentials(built.Credentials); got != tc.built {
				t.Errorf("built credentials %q, want %q", got, tc.built)
			}
			if got := credentials(projection.CredentialPaths(v)); got != tc.certain {
				t.Errorf("credentials of the volume %q, want %q", got, tc.certain)
			}
		})
	}
	if got := projection.CredentialPaths(parse[corev1.Volume](t, "secret: {secretName: s}")); len(got) != 0 {
		t.Errorf("credentials of a secret volume: %v", got)
	}
}

// FuzzCredentials holds that a path is called a credential when, and only when, the
// file there is a token, whatever the paths of the sources are, and that what is
// certain before building is so after it.
func FuzzCredentials(f *testing.F) {
	for _, p := range []string{"a", "a/b", "user", "./user", "a//b", "a/../user", "", "."} {
		f.Add("token", p, p, true)
		f.Add(p, "x", "user", false)
	}
	f.Fuzz(func(t *testing.T, token, later, last string, whole bool) {
		secret := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}
		if !whole {
			secret.Items = []corev1.KeyToPath{{Key: "user", Path: last}}
		}
		v := &corev1.Volume{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: token}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: later, FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}},
			{Secret: secret},
		}}}}
		built, err := projection.Build(&corev1.Pod{}, v, store)
		if err != nil {
			t.Fatal(err)
		}
		isToken := map[string]bool{}
		for _, file := range built.Tree.Files {
			if strings.HasPrefix(string(file.Data), "token for") {
				isToken[file.Path] = true
			}
		}
		if !maps.Equal(isToken, built.Credentials) {
			t.Errorf("%q, %q, %q: credentials %v, tokens are at %v", token, later, last, built.Credentials, isToken)
		}
		for p := range projection.CredentialPaths(v) {
			if !isToken[p] {
				t.Errorf("%q, %q, %q: %q is certain and not so", token, later, last, p)
			}
		}
		renewed := built.Renew(built.Tree, built.Credentials)
		if show(renewed) != show(built.Tree) {
			t.Error("renewed by itself it changes")
		}
	})
}

func TestRenew(t *testing.T) {
	published := atomicdir.Tree{Files: []atomicdir.File{
		{Path: "conf", Data: []byte("old")}, {Path: "t", Data: []byte("stale")}, {Path: "user", Data: []byte("alice")},
	}}
	built, err := projection.Build(&corev1.Pod{}, parse[corev1.Volume](t, `projected: {sources: [{serviceAccountToken: {path: t}}, {serviceAccountToken: {path: new}},
		{serviceAccountToken: {path: user}}, {configMap: {name: none}}]}`), store)
	if err == nil {
		t.Fatal("the config map was found")
	}
	got := built.Renew(published, map[string]bool{"t": true})
	if want := "conf 0000 -:- old\nt 0644 -:- token for \"\" 3600\nuser 0000 -:- alice"; show(got) != want {
		t.Errorf("got\n%q\nwant\n%q", show(got), want)
	}
	if string(published.Files[1].Data) != "stale" {
		t.Error("the published tree was changed")
	}
}
