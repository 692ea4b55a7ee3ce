package projection_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/projection"
)

// TestOwners holds KEP-5936 for every kind of source, with and without what else
// decides who may read a file.
func TestOwners(t *testing.T) {
	const (
		token   = "projected: {defaultUser: 7, sources: [{serviceAccountToken: {path: t, user: 8}}, {serviceAccountToken: {path: u}}]}"
		plain   = "projected: {defaultMode: 0444, sources: [{serviceAccountToken: {path: t, user: 8}}, {serviceAccountToken: {path: u}}]}"
		running = "{securityContext: {runAsUser: 1000}, containers: [{name: c}]}"
		group   = "{securityContext: {fsGroup: 2000}, containers: [{name: c}]}"
		both    = "{securityContext: {fsGroup: 2000, runAsUser: 1000}, containers: [{name: c}]}"
	)
	for _, tc := range []struct{ name, spec, volume, want string }{
		{"secret", "", "secret: {secretName: s, defaultUser: 7, items: [{key: user, path: a}, {key: user, path: b, user: 8}, {key: user, path: c, user: 0}]}",
			"a 0644 7:- bob\nb 0644 8:- bob\nc 0644 0:- bob"},
		{"whole secret", "", "secret: {secretName: s, defaultUser: 7}", "pass 0644 7:- \x00\xff\nuser 0644 7:- bob"},
		{"whole config map", "", "configMap: {name: c, defaultUser: 0}", "bin 0644 0:- \x01\x02\nconf 0644 0:- text"},
		{"config map, item alone", "", "configMap: {name: c, items: [{key: conf, path: a, user: 9}, {key: bin, path: b}]}", "a 0644 9:- text\nb 0644 -:- \x01\x02"},
		{"Downward API", "", "downwardAPI: {defaultUser: 7, items: [{path: a, fieldRef: {fieldPath: metadata.name}}, {path: b, user: 8, fieldRef: {fieldPath: metadata.name}}]}", "a 0644 7:- p\nb 0644 8:- p"},
		{"projected", "", "projected: {defaultUser: 7, sources: [{secret: {name: s, items: [{key: user, path: a}, {key: user, path: b, user: 8}]}}, {downwardAPI: {items: [{path: c, fieldRef: {fieldPath: metadata.name}}]}}]}",
			"a 0644 7:- bob\nb 0644 8:- bob\nc 0644 7:- p"},
		{"with a group", group, "secret: {secretName: s, defaultMode: 0400, defaultUser: 7, items: [{key: user, path: a}]}", "a 0440 7:2000 bob"},
		{"runAsUser does not own content", running, "secret: {secretName: s, items: [{key: user, path: a}]}", "a 0644 -:- bob"},

		{"token", "{}", token, "t 0644 8:- token for \"\" 3600\nu 0644 7:- token for \"\" 3600"},
		{"token, explicit over runAsUser", running, token, "t 0644 8:- token for \"\" 3600\nu 0644 7:- token for \"\" 3600"},
		{"token, explicit beside runAsUser", running, plain, "t 0444 8:- token for \"\" 3600\nu 0600 1000:- token for \"\" 3600"},
		{"token, explicit with a group", group, token, "t 0640 8:2000 token for \"\" 3600\nu 0640 7:2000 token for \"\" 3600"},
		{"token, explicit with both", both, plain, "t 0640 8:2000 token for \"\" 3600\nu 0640 1000:2000 token for \"\" 3600"},
		{"token, explicit root", running, "projected: {defaultUser: 0, sources: [{serviceAccountToken: {path: t}}]}", "t 0644 0:- token for \"\" 3600"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pod := parse[corev1.Pod](t, "metadata: {name: p}\nspec: "+tc.spec)
			tree, err := projection.Volume(pod, parse[corev1.Volume](t, tc.volume), store)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(tree); got != tc.want {
				t.Errorf("got\n%q\nwant\n%q", got, tc.want)
			}
		})
	}
}

// TestGroupMasks holds that a group may read every file and that nothing else of a
// mode changes.
func TestGroupMasks(t *testing.T) {
	pod := parse[corev1.Pod](t, "spec: {securityContext: {fsGroup: 0}}")
	for requested, want := range map[string]string{"0": "0440", "256": "0440", "384": "0640", "420": "0644", "288": "0440", "511": "0777", "73": "0551", "4": "0444"} {
		v := parse[corev1.Volume](t, "secret: {secretName: s, items: [{key: user, path: a, mode: "+requested+"}]}")
		tree, err := projection.Volume(pod, v, store)
		if got := show(tree); err != nil || got != "a "+want+" -:0 bob" {
			t.Errorf("mode %s: %q, %v; want %s", requested, got, err, want)
		}
		if tree.Group == nil || *tree.Group != 0 {
			t.Errorf("directories' group: %v", tree.Group)
		}
	}
}
