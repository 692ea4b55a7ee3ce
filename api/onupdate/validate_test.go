package onupdate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const pod = `
restartPolicy: Always
initContainers: [{name: prepare, volumeMounts: [{name: config, mountPath: /c}]}]
containers:
- {name: web, volumeMounts: [{name: config, mountPath: /c}, {name: all, mountPath: /a, subPath: x}, {name: tokens, mountPath: /t}, {name: scratch, mountPath: /s}]}
- {name: side, volumeMounts: [{name: secret, mountPath: /s}]}
volumes:
- {name: config, configMap: {name: c}}
- {name: secret, secret: {secretName: s}}
- {name: labels, downwardAPI: {}}
- {name: all, projected: {sources: [{serviceAccountToken: {path: t}}, {configMap: {name: c}}]}}
- {name: tokens, projected: {sources: [{serviceAccountToken: {path: t}}]}}
- {name: scratch, emptyDir: {}}
`

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		"[{volumes: [config, all, secret], container: web, signal: HUP}]":                                   "",
		"[{volumes: [config], container: web, restart: true}]":                                              "",
		"[{volumes: [secret], container: side, exec: [a]}]":                                                 "",
		"[{volumes: [tokens], container: web, exec: [a]}]":                                                  "",
		"[{volumes: [config, all], container: web, check: [a, $(LATERNA_CANDIDATE)]}]":                      "",
		"[{volumes: [conf], container: web, restart: true}]":                                                `line 1, column 13: the pod has no volume "conf", it has config, secret, labels, all, tokens, scratch`,
		"[{volumes: [config], container: wep, restart: true}]":                                              `line 1, column 33: the pod has no container "wep", it has web, side`,
		"[{volumes: [config], container: prepare, restart: true}]":                                          `line 1, column 33: prepare is an init container`,
		"[{volumes: [scratch], container: web, restart: true}]":                                             `line 1, column 13: volume scratch is never updated`,
		"[{volumes: [config, labels], container: side, restart: true}]":                                     `line 1, column 41: container side mounts none of the rule's volumes`,
		"[{volumes: [config, secret], container: web, check: [a, $(LATERNA_CANDIDATE)]}]":                   `line 1, column 21: container web does not mount volume secret, so it cannot check it`,
		"[{volumes: [tokens], container: web, check: [a, $(LATERNA_CANDIDATE)]}]":                           `line 1, column 13: volume tokens has only tokens and certificates, which are published without a check`,
		"[{volumes: [config], container: wep, restart: true}, {volumes: [x], container: web, signal: HUP}]": `line 1, column 33: the pod has no container "wep", it has web, side; line 1, column 65: the pod has no volume "x"`,
	} {
		err := Validate(parse(t, text), podOf(t, "Always"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestRestartNeedsAPodThatRestarts(t *testing.T) {
	rules := parse(t, "[{volumes: [config], container: web, restart: true}]")
	for policy, ok := range map[corev1.RestartPolicy]bool{"Always": true, "OnFailure": true, "Never": false} {
		err := Validate(rules, podOf(t, policy))
		if ok != (err == nil) {
			t.Errorf("restartPolicy %s: %v", policy, err)
		}
		if !ok && !strings.HasPrefix(err.Error(), "line 1, column 47: restart needs a pod whose restartPolicy is Always or OnFailure") {
			t.Errorf("restartPolicy %s: %v", policy, err)
		}
	}
}

func TestRulesOfOnesOwnHaveNoPlace(t *testing.T) {
	err := Validate([]Rule{{Volumes: []string{"config"}, Container: "x", Signal: "SIGHUP"}}, podOf(t, "Always"))
	if err == nil || !strings.HasPrefix(err.Error(), `the pod has no container "x"`) {
		t.Error(err)
	}
}

func parse(t *testing.T, text string) []Rule {
	t.Helper()
	rules, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func podOf(t *testing.T, policy corev1.RestartPolicy) *corev1.Pod {
	t.Helper()
	var p corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(pod), &p.Spec); err != nil {
		t.Fatal(err)
	}
	p.Spec.RestartPolicy = policy
	return &p
}
