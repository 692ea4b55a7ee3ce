package podsecurity_test

import (
	"context"
	"errors"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-base/metrics"

	"laterna.dev/laterna/internal/admission/podsecurity"
)

// heard is what one request brought.
type heard struct {
	refused     string
	warnings    []string
	annotations map[string]string
}

func (h *heard) AddWarning(_, text string) { h.warnings = append(h.warnings, text) }

// ask admits one object. Its old form is nil for a new one.
func ask(t *testing.T, p *podsecurity.Plugin, o, old runtime.Object, resource schema.GroupVersionResource, sub, namespace, userName string) heard {
	t.Helper()
	var h heard
	ctx := audit.WithAuditContext(warning.WithWarningRecorder(t.Context(), &h))
	if err := audit.AuditContextFrom(ctx).Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
		t.Fatal(err)
	}
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	name := "p"
	if n, ok := o.(*corev1.Namespace); ok {
		name = n.Name
	}
	a := admission.NewAttributesRecord(o, old, schema.GroupVersionKind{Kind: "Kind"}, namespace, name, resource, sub, operation, nil, false, &user.DefaultInfo{Name: userName})
	if err := p.Validate(ctx, a, nil); err != nil {
		h.refused = err.Error()
		if status := apierrors.APIStatus(nil); !errors.As(err, &status) || status.Status().Code < 400 {
			t.Errorf("refused with %#v", err)
		}
	}
	h.annotations = map[string]string{}
	maps.Copy(h.annotations, audit.AuditContextFrom(ctx).GetEventAnnotations())
	return h
}

var (
	podsResource       = corev1.SchemeGroupVersion.WithResource("pods")
	namespacesResource = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// pod is one that neither level lets pass where change says so.
func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if change != nil {
		change(p)
	}
	return p
}

func privileged(p *corev1.Pod) {
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
}

func namespace(name string, labels ...string) *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		n.Labels["pod-security.kubernetes.io/"+key] = value
	}
	return n
}

const (
	violates   = `pods "p" is forbidden: violates PodSecurity "baseline:latest": `
	hisFlag    = `privileged (container "c" must not set securityContext.privileged=true)`
	restricted = `allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ` +
		`unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ` +
		`runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ` +
		`seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`
)

func plugin(t *testing.T, s podsecurity.Settings, objects ...runtime.Object) *podsecurity.Plugin {
	t.Helper()
	p, err := podsecurity.New(podsecurity.Config{Client: fake.NewClientset(objects...), Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPodsAreHeldToTheLabelsOfTheirNamespace(t *testing.T) {
	p := plugin(t, podsecurity.Settings{}, namespace("plain"), namespace("baseline", "enforce=baseline"),
		namespace("old", "enforce=baseline", "enforce-version=v1.0"), namespace("restricted", "enforce=restricted"),
		namespace("told", "warn=restricted", "audit=baseline", "audit-version=v1.30"), namespace("odd", "enforce=strict"))
	host := func(p *corev1.Pod) {
		p.Spec.HostNetwork = true
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
	}
	later := pod(func(p *corev1.Pod) {
		privileged(p)
		p.Spec.Containers[0].Image = "other"
	})
	relabelled := pod(func(p *corev1.Pod) {
		privileged(p)
		p.Labels = map[string]string{"a": "b"}
	})
	debugged := pod(func(p *corev1.Pod) {
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}}}
	})
	unprivileged := map[string]string{"enforce-policy": "privileged:latest"}
	atBaseline := map[string]string{"enforce-policy": "baseline:latest"}
	for name, tc := range map[string]struct {
		namespace, sub string
		pod, old       *corev1.Pod
		want           heard
	}{
		"no labels":       {"plain", "", pod(privileged), nil, heard{annotations: unprivileged}},
		"harmless":        {"baseline", "", pod(nil), nil, heard{annotations: atBaseline}},
		"privileged":      {"baseline", "", pod(privileged), nil, heard{refused: violates + hisFlag, annotations: atBaseline}},
		"two reasons":     {"baseline", "", pod(host), nil, heard{refused: violates + `host namespaces (hostNetwork=true), hostPath volumes (volume "v")`, annotations: atBaseline}},
		"an old version":  {"old", "", pod(privileged), nil, heard{refused: `pods "p" is forbidden: violates PodSecurity "baseline:v1.0": ` + hisFlag, annotations: map[string]string{"enforce-policy": "baseline:v1.0"}}},
		"restricted":      {"restricted", "", pod(nil), nil, heard{refused: `pods "p" is forbidden: violates PodSecurity "restricted:latest": ` + restricted, annotations: map[string]string{"enforce-policy": "restricted:latest"}}},
		"warned and told": {"told", "", pod(privileged), nil, heard{warnings: []string{`would violate PodSecurity "restricted:latest": privileged (container "c" must not set securityContext.privileged=true), ` + restricted}, annotations: map[string]string{"enforce-policy": "privileged:latest", "audit-violations": `would violate PodSecurity "baseline:v1.30": ` + hisFlag}}},
		"an odd label":    {"odd", "", pod(nil), nil, heard{refused: `pods "p" is forbidden: violates PodSecurity "restricted:latest": ` + restricted, annotations: map[string]string{"enforce-policy": "restricted:latest", "error": `Failed to parse policy: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted`}}},
		"another image":   {"baseline", "", later, pod(privileged), heard{refused: violates + hisFlag, annotations: atBaseline}},
		"another label":   {"baseline", "", relabelled, pod(privileged), heard{annotations: map[string]string{}}},
		"debugged":        {"baseline", "ephemeralcontainers", debugged, pod(nil), heard{refused: violates + `privileged (container "d" must not set securityContext.privileged=true)`, annotations: atBaseline}},
		"its status":      {"baseline", "status", later, pod(privileged), heard{annotations: map[string]string{}}},
		"no namespace":    {"missing", "", pod(nil), nil, heard{refused: `Internal error occurred: failed to lookup namespace "missing"`, annotations: map[string]string{"error": `Internal error occurred: failed to lookup namespace "missing": namespaces "missing" not found`}}},
	} {
		var old runtime.Object
		if tc.old != nil {
			old = tc.old
		}
		got := ask(t, p, tc.pod, old, podsResource, tc.sub, tc.namespace, "u")
		same(t, name, got, tc.want)
	}
}

// same compares what was heard; annotations are written without their prefix.
func same(t *testing.T, name string, got, want heard) {
	t.Helper()
	plain := map[string]string{}
	for key, value := range got.annotations {
		plain[strings.TrimPrefix(key, "pod-security.kubernetes.io/")] = value
	}
	if got.refused != want.refused || !slices.Equal(got.warnings, want.warnings) || want.annotations != nil && !maps.Equal(plain, want.annotations) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
	}
}

func TestTemplatesOfPodsAreWarnedOfAndNeverRefused(t *testing.T) {
	p := plugin(t, podsecurity.Settings{}, namespace("n", "enforce=restricted", "warn=baseline", "audit=baseline"))
	template := corev1.PodTemplateSpec{Spec: pod(privileged).Spec}
	would := `would violate PodSecurity "baseline:latest": ` + hisFlag
	for _, tc := range []struct {
		object   runtime.Object
		resource schema.GroupVersionResource
	}{
		{&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: template}}, appsv1.SchemeGroupVersion.WithResource("deployments")},
		{&appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Template: template}}, appsv1.SchemeGroupVersion.WithResource("replicasets")},
		{&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: template}}, appsv1.SchemeGroupVersion.WithResource("statefulsets")},
		{&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: template}}, appsv1.SchemeGroupVersion.WithResource("daemonsets")},
		{&batchv1.Job{Spec: batchv1.JobSpec{Template: template}}, batchv1.SchemeGroupVersion.WithResource("jobs")},
		{&batchv1.CronJob{Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}}, batchv1.SchemeGroupVersion.WithResource("cronjobs")},
		{&corev1.ReplicationController{Spec: corev1.ReplicationControllerSpec{Template: &template}}, corev1.SchemeGroupVersion.WithResource("replicationcontrollers")},
		{&corev1.PodTemplate{Template: template}, corev1.SchemeGroupVersion.WithResource("podtemplates")},
	} {
		got := ask(t, p, tc.object, nil, tc.resource, "", "n", "u")
		same(t, tc.resource.Resource, got, heard{warnings: []string{would}, annotations: map[string]string{"audit-violations": would}})
	}
	got := ask(t, p, &corev1.ConfigMap{}, nil, corev1.SchemeGroupVersion.WithResource("configmaps"), "", "n", "u")
	same(t, "configmaps", got, heard{annotations: map[string]string{}})
}

func TestNewLevelIsTriedOnThePodsThatAreThere(t *testing.T) {
	objects := []runtime.Object{namespace("n")}
	for _, name := range []string{"b", "a", "c"} {
		p := pod(privileged)
		p.Namespace, p.Name = "n", name
		objects = append(objects, p)
	}
	host := pod(func(p *corev1.Pod) { p.Spec.HostPID = true })
	host.Namespace, host.Name = "n", "h"
	p := plugin(t, podsecurity.Settings{}, append(objects, host)...)
	for name, tc := range map[string]struct {
		now, before *corev1.Namespace
		want        heard
	}{
		"stricter": {namespace("n", "enforce=baseline"), namespace("n"), heard{warnings: []string{
			`existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"`,
			"a (and 2 other pods): privileged", "h: host namespaces",
		}}},
		"only warned of": {namespace("n", "warn=baseline"), namespace("n"), heard{}},
		"relaxed":        {namespace("n", "enforce=baseline"), namespace("n", "enforce=restricted"), heard{}},
		"new":            {namespace("n", "enforce=restricted"), nil, heard{}},
		"odd": {namespace("n", "enforce=x", "warn-version=1.2"), namespace("n"), heard{refused: `Kind "n" is invalid: [` +
			`metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted, ` +
			`metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"]`}},
		"odd as before": {namespace("n", "enforce=x"), namespace("n", "enforce=x"), heard{}},
	} {
		var old runtime.Object
		if tc.before != nil {
			old = tc.before
		}
		same(t, name, ask(t, p, tc.now, old, namespacesResource, "", "n", "u"), tc.want)
	}
}

func TestDefaultsAndExemptions(t *testing.T) {
	p := plugin(t, podsecurity.Settings{
		Enforce: "baseline", Warn: "restricted:v1.20", Usernames: []string{"operator"}, Namespaces: []string{"free"}, RuntimeClasses: []string{"vm"},
	}, namespace("n"), namespace("free"), namespace("open", "enforce=privileged", "warn=privileged"))
	vm := pod(privileged)
	vm.Spec.RuntimeClassName = new("vm")
	for name, tc := range map[string]struct {
		pod             *corev1.Pod
		namespace, user string
		want            heard
	}{
		"default":              {pod(privileged), "n", "u", heard{refused: violates + hisFlag}},
		"labels win":           {pod(privileged), "open", "u", heard{}},
		"exempt user":          {pod(privileged), "n", "operator", heard{annotations: map[string]string{"exempt": "user"}}},
		"exempt namespace":     {pod(privileged), "free", "u", heard{annotations: map[string]string{"exempt": "namespace"}}},
		"exempt runtime class": {vm, "n", "u", heard{annotations: map[string]string{"exempt": "runtimeClass"}}},
	} {
		same(t, name, ask(t, p, tc.pod, nil, podsResource, "", tc.namespace, tc.user), tc.want)
	}
	if got := ask(t, p, pod(nil), nil, podsResource, "", "n", "u"); len(got.warnings) != 1 || !strings.HasPrefix(got.warnings[0], `would violate PodSecurity "restricted:v1.20": `) {
		t.Errorf("warned %q", got.warnings)
	}
	got := ask(t, p, namespace("free", "enforce=baseline", "warn=privileged"), nil, namespacesResource, "", "free", "u")
	same(t, "labels of an exempt namespace", got, heard{warnings: []string{`namespace "free" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored`}})
	counted := metrics.NewKubeRegistry()
	for _, m := range p.Metrics() {
		counted.MustRegister(m)
	}
	ask(t, p, pod(privileged), nil, podsResource, "", "n", "u")
	ask(t, p, pod(privileged), nil, podsResource, "", "free", "u")
	families, err := counted.Gather()
	counts := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counts[f.GetName()] += m.GetCounter().GetValue()
		}
	}
	// The level that is enforced, and the one that is warned of only where it is passed.
	if want := map[string]float64{"pod_security_evaluations_total": 1, "pod_security_exemptions_total": 1}; err != nil || !maps.Equal(counts, want) {
		t.Errorf("counted %v, want %v: %v", counts, want, err)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for want, s := range map[string]podsecurity.Settings{
		"": {Enforce: "restricted:v1.30", Audit: "baseline:latest", Warn: "privileged"},
		`defaults.enforce: Invalid value: "strict": must be one of privileged, baseline, restricted`: {Enforce: "strict"},
		`defaults.warn-version: Invalid value: "1.30": must be "latest" or "v1.x"`:                   {Warn: "baseline:1.30"},
		`defaults.audit-version: Invalid value: "": must be "latest" or "v1.x"`:                      {Audit: "baseline:"},
		`exemptions.namespaces[1]: Duplicate value: "a"`:                                             {Namespaces: []string{"a", "a"}},
	} {
		got := ""
		if err := s.Validate(); err != nil {
			got = err.Error()
			if _, err := podsecurity.New(podsecurity.Config{Client: fake.NewClientset(), Settings: s}); err == nil {
				t.Errorf("%+v was taken", s)
			}
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestVersionIsThatOfTheLibraries: the libraries of Kubernetes 1.x.y are v0.x.y.
func TestVersionIsThatOfTheLibraries(t *testing.T) {
	out, err := exec.CommandContext(context.Background(), "go", "list", "-m", "k8s.io/pod-security-admission").Output()
	want := "k8s.io/pod-security-admission v0" + strings.TrimPrefix(podsecurity.APIVersion, "v1") + "."
	if err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("go.mod has %s, want %s: %v", out, want, err)
	}
}
