package rolloutonchange

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/podcontent"
)

// warnings are what a client is told.
type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func deployment(request string, configMaps ...string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "web", Annotations: map[string]string{api.RolloutOnChange: request}}}
	for _, name := range configMaps {
		d.Spec.Template.Spec.Volumes = append(d.Spec.Template.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}},
		})
	}
	return d
}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Data: map[string]string{"k": value}}
}

// write has a workload admitted, and returns the digests in its template and what the
// client is told.
func write(t *testing.T, p *Plugin, d, old *appsv1.Deployment, dryRun bool) (string, []string, error) {
	t.Helper()
	var told warnings
	ctx := warning.WithWarningRecorder(t.Context(), &told)
	operation, before := admission.Create, runtime.Object(nil)
	if old != nil {
		operation, before = admission.Update, old
	}
	gvr := appsv1.SchemeGroupVersion.WithResource("deployments")
	a := admission.NewAttributesRecord(d, before, appsv1.SchemeGroupVersion.WithKind("Deployment"), "n", d.Name, gvr, "", operation, nil, dryRun, nil)
	err := p.Admit(ctx, a, nil)
	return d.Spec.Template.Annotations[api.ContentDigests], told, err
}

func TestContentOfTheMomentIsNoted(t *testing.T) {
	client := fake.NewClientset(configMap("a", "1"))
	p := New(client)
	first := deployment("auto", "a", "missing")
	digests, told, err := write(t, p, first, nil, false)
	if err != nil || len(told) > 0 || !strings.HasPrefix(digests, "configmap/a=") || !strings.HasSuffix(digests, ",configmap/missing=absent") {
		t.Fatalf("%s, %v, %v", digests, told, err)
	}
	again := first.DeepCopy()
	if got, _, err := write(t, p, again, first, false); err != nil || got != digests {
		t.Errorf("the same content: %s, %v", got, err)
	}
	replaced := deployment("auto", "a", "missing") // as kubectl replace sends it
	if got, told, err := write(t, p, replaced, first, false); err != nil || got != digests || len(told) > 0 {
		t.Errorf("without the digests: %s, %v, %v", got, told, err)
	}
	if _, err := client.CoreV1().ConfigMaps("n").Update(t.Context(), configMap("a", "2"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	second := first.DeepCopy()
	later, told, err := write(t, p, second, first, false)
	if err != nil || later == digests || len(told) > 0 {
		t.Errorf("other content: %s, %v, %v", later, told, err)
	}
	undone := first.DeepCopy() // as kubectl rollout undo sends it
	got, told, err := write(t, p, undone, second, false)
	if err != nil || got != later || len(told) != 1 || !strings.Contains(told[0], "other content of configmap/a than there is now") {
		t.Errorf("undone: %s, %q, %v", got, told, err)
	}
	if err := client.CoreV1().ConfigMaps("n").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := write(t, p, second.DeepCopy(), second, false); err != nil || got != later {
		t.Errorf("the object is gone: %s, %v", got, err)
	}
}

func TestOnlyWhoAsksIsNoted(t *testing.T) {
	p := New(fake.NewClientset(configMap("a", "1")))
	plain := deployment("auto", "a")
	delete(plain.Annotations, api.RolloutOnChange)
	if got, _, err := write(t, p, plain, nil, false); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
	if got, _, err := write(t, p, deployment("auto"), nil, false); err != nil || got != "" {
		t.Errorf("nothing is read: %q, %v", got, err)
	}
	_, _, err := write(t, p, deployment("everything", "a"), nil, false)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `metadata.annotations[laterna.dev/rollout-on-change]: Invalid value: "everything": "everything" is neither configmap/NAME`) {
		t.Error(err)
	}
}

func TestKeyIsMadeOnceAndNotByADryRun(t *testing.T) {
	client := fake.NewClientset(configMap("a", "1"))
	p := New(client)
	if _, _, err := write(t, p, deployment("auto", "a"), nil, true); err != nil {
		t.Fatal(err)
	}
	secrets := client.CoreV1().Secrets(metav1.NamespaceSystem)
	if _, err := secrets.Get(t.Context(), podcontent.KeySecret, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after a dry run: %v", err)
	}
	a, _, err := write(t, p, deployment("auto", "a"), nil, false)
	b, _, err2 := write(t, New(client), deployment("auto", "a"), nil, false)
	if errors.Join(err, err2) != nil || a != b || a == "" {
		t.Errorf("two servers: %s, %s, %v, %v", a, b, err, err2)
	}
	key, err := secrets.Get(t.Context(), podcontent.KeySecret, metav1.GetOptions{})
	if err != nil || len(key.Data["key"]) != podcontent.KeySize || !*key.Immutable {
		t.Errorf("%v, %v", key, err)
	}
	key.Data["key"] = []byte("short")
	if _, err := secrets.Update(t.Context(), key, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := write(t, p, deployment("auto", "a"), nil, false); err == nil || !strings.Contains(err.Error(), "is no key of digests") || strings.Contains(err.Error(), "short") {
		t.Error(err)
	}
}

func TestUnreadableContentIsRefused(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("not today")
	})
	_, _, err := write(t, New(client), deployment("configmap/a"), nil, false)
	if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "what the pods of deployment n/web read: reading configmap/a: not today") {
		t.Error(err)
	}
}
