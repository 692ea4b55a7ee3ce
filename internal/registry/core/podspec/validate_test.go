package podspec_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestSpec(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("enums", podspectest.With("restartPolicy: X\ndnsPolicy: W\npreemptionPolicy: Z"),
			`spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never"`,
			`spec.dnsPolicy: Unsupported value: "W": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"`,
			`spec.preemptionPolicy: Unsupported value: "Z": supported values: "PreemptLowerPriority", "Never"`),
		wrong("names", podspectest.With("nodeName: A\nhostname: a.b\nsubdomain: a_b\npriorityClassName: B\nruntimeClassName: C")+"activeDeadlineSeconds: 0",
			`spec.nodeName: Invalid value: "A": `+podspectest.Domain,
			"spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
			`spec.hostname: Invalid value: "a.b": must not contain dots`,
			`spec.subdomain: Invalid value: "a_b": `+podspectest.Label,
			`spec.priorityClassName: Invalid value: "B": `+podspectest.Domain,
			`spec.runtimeClassName: Invalid value: "C": `+podspectest.Domain),
		wrong("service account", "serviceAccountName: A\ncontainers: [{name: a, image: i}]", `spec.serviceAccountName: Invalid value: "A": `+podspectest.Domain),
		wrong("node selector", podspectest.With("nodeSelector: {'a b': '*'}"),
			`spec.nodeSelector: Invalid value: "a b": `+podspectest.Qualified,
			`spec.nodeSelector: Invalid value: "*": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`),
		wrong("operating system", podspectest.With("os: {name: plan9}"), `spec.os: Unsupported value: "plan9": supported values: "linux", "windows"`),
	)
}

func TestUndefaultedSpec(t *testing.T) {
	errs := podspec.ValidateSpec(&corev1.PodSpec{}, field.NewPath("template", "spec"), podspec.Options{})
	podspectest.Compare(t, errs, []string{
		"template.spec.terminationGracePeriodSeconds: Required value",
		"template.spec.containers: Required value",
		"template.spec.restartPolicy: Required value",
		"template.spec.dnsPolicy: Required value",
	})
}

func TestTemplate(t *testing.T) {
	template := podspectest.Parse[corev1.PodTemplateSpec](t, `
metadata: {labels: {'a b': c}}
spec:
  containers: [{name: a, image: ' i'}]
  ephemeralContainers: [{name: e, image: i}]
`)
	podspec.SetDefaults(&template.Spec)
	podspectest.Compare(t, podspec.ValidateTemplate(template, field.NewPath("spec", "template")), []string{
		`spec.template.metadata.labels: Invalid value: "a b": ` + podspectest.Qualified,
		"spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
	})
}

func TestAnnotations(t *testing.T) {
	spec := podspectest.Parse[corev1.PodSpec](t, podspectest.Base)
	podspectest.Compare(t, podspec.ValidateAnnotations(map[string]string{
		"kubernetes.io/config.mirror":                           "x",
		"controller.kubernetes.io/pod-deletion-cost":            "+1",
		"container.apparmor.security.beta.kubernetes.io/nobody": "unconfined",
		"container.apparmor.security.beta.kubernetes.io/main":   "unconfined",
		"anything.else":               "x",
		"laterna.dev/subpath-updates": "yes",
	}, spec, field.NewPath("metadata", "annotations")), []string{
		`metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set`,
		`metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer`,
		`metadata.annotations[laterna.dev/subpath-updates]: Unsupported value: "yes": supported values: "true", "false"`,
		`metadata.annotations[container.apparmor.security.beta.kubernetes.io/nobody]: Invalid value: "nobody": container not found`,
	})
	for _, value := range []string{"true", "false"} {
		podspectest.Compare(t, podspec.ValidateAnnotations(map[string]string{"laterna.dev/subpath-updates": value}, spec, field.NewPath("metadata", "annotations")), nil)
	}
}

func TestAppArmorAnnotations(t *testing.T) {
	const prefix = "container.apparmor.security.beta.kubernetes.io/"
	const field1, field2 = "spec.containers[0].securityContext.appArmorProfile", "spec.initContainers[0].securityContext.appArmorProfile"
	const kind, name = ": Forbidden: apparmor type in annotation and field must match", ": Forbidden: apparmor profile in annotation and field must match"
	for _, c := range []struct {
		annotation, profile string
		want                []string
	}{
		{"", "null", nil}, {"unconfined", "null", nil}, {"runtime/default", "{type: RuntimeDefault}", nil}, {"localhost/x", "{type: Localhost, localhostProfile: x}", nil},
		{"unconfined", "{type: Unconfined}", nil},
		{"unconfined", "{type: RuntimeDefault}", []string{field2 + ".type" + kind, field1 + ".type" + kind}},
		{"runtime/default", "{type: Unconfined}", []string{field2 + ".type" + kind, field1 + ".type" + kind}},
		{"runtime/default", "{type: Localhost, localhostProfile: x}", []string{field2 + ".type" + kind, field1 + ".type" + kind}},
		{"localhost/b", "{type: Localhost, localhostProfile: x}", []string{field2 + ".localhostProfile" + name, field1 + ".localhostProfile" + name}},
		{"localhost/b", "{type: Localhost}", []string{field2 + ".localhostProfile" + name, field1 + ".localhostProfile" + name}},
	} {
		spec := podspectest.Parse[corev1.PodSpec](t, "securityContext: {appArmorProfile: "+c.profile+"}\ncontainers: [{name: a, image: i}]\ninitContainers: [{name: b, image: i}]")
		annotations := map[string]string{prefix + "a": c.annotation, prefix + "b": c.annotation}
		podspectest.Compare(t, podspec.ValidateAppArmorMatch(annotations, spec, field.NewPath("spec")), c.want)
		podspectest.Compare(t, podspec.ValidateAnnotations(annotations, spec, field.NewPath("metadata", "annotations")), nil)
		podspectest.Compare(t, podspec.ValidateAppArmorNames(annotations, field.NewPath("metadata", "annotations")), nil)
		spec.OS = &corev1.PodOS{Name: corev1.Windows}
		podspectest.Compare(t, podspec.ValidateAppArmorMatch(annotations, spec, field.NewPath("spec")), nil)
	}
	podspectest.Compare(t, podspec.ValidateAppArmorNames(map[string]string{prefix + "main": "docker/default", prefix + "b": "unconfined", "other": "x"}, field.NewPath("metadata", "annotations")), []string{
		`metadata.annotations[` + prefix + `main]: Invalid value: "docker/default": invalid AppArmor profile name: "docker/default"`})
	template := podspectest.Parse[corev1.PodTemplateSpec](t, `
metadata: {annotations: {container.apparmor.security.beta.kubernetes.io/a: unconfined}}
spec: {containers: [{name: a, image: i, securityContext: {appArmorProfile: {type: RuntimeDefault}}}]}`)
	podspec.SetDefaults(&template.Spec)
	podspectest.Compare(t, podspec.ValidateTemplate(template, field.NewPath("spec", "template")), []string{"spec.template." + field1 + ".type" + kind})
	if got := podspec.Warnings(&template.ObjectMeta, &template.Spec, field.NewPath("spec", "template")); len(got) > 0 {
		t.Errorf("warnings beside a field: %q", got)
	}
	template.Spec.Containers[0].SecurityContext = nil
	if got := podspec.Warnings(&template.ObjectMeta, &template.Spec, field.NewPath("spec", "template")); len(got) != 1 ||
		got[0] != "spec.template.metadata.annotations["+prefix+`a]: deprecated since v1.30; use the "appArmorProfile" field instead` {
		t.Errorf("warnings of a template %q", got)
	}
}
