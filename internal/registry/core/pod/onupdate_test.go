package pod

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/api"
)

const withConfig = `
containers: [{name: main, image: 'i:1', volumeMounts: [{name: config, mountPath: /c}]}]
volumes: [{name: config, configMap: {name: c}}]
`

const onUpdateField = "metadata.annotations[laterna.dev/on-update]: Invalid value"

func annotated(t testing.TB, rules string) *corev1.Pod {
	t.Helper()
	p := withSpec(t, withConfig)
	p.ObjectMeta = metav1.ObjectMeta{Name: "p", Namespace: "ns", Annotations: map[string]string{api.OnUpdate: rules}}
	return p
}

const (
	goodRule = "- {volumes: [config], container: main, signal: SIGHUP}"
	badRule  = "- {volumes: [config], container: main, signal: SIGHUB}"
)

func TestOnUpdateIsCheckedAtCreate(t *testing.T) {
	compare(t, validateOnUpdate(annotated(t, goodRule), nil))
	for rules, want := range map[string][]string{
		badRule: {`: "SIGHUB": line 1, column 48: unknown signal`},
		"- {":   {": line 1: is not YAML"},
		"- {volumes: [x], container: y, restart: true}": {
			`: "y": line 1, column 29: the pod has no container "y", it has main`,
			`: "x": line 1, column 14: the pod has no volume "x", it has config`,
		},
	} {
		errs := validateOnUpdate(annotated(t, rules), nil)
		if len(errs) != len(want) {
			t.Errorf("%s: %v", rules, errs)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(errs[i].Error(), onUpdateField+want[i]) {
				t.Errorf("%s: %v, want %s", rules, errs[i], want[i])
			}
		}
	}
	s := newServer(t, Kubelets{})
	_, err := s.Pods.Create(s.ctx, annotated(t, badRule), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	wantError(t, err, errors.IsInvalid, `Pod "p" is invalid: `+onUpdateField+`: "SIGHUB": line 1, column 48`)
}

func TestOnUpdateIsCheckedWhenItChanges(t *testing.T) {
	bad, good := annotated(t, badRule), annotated(t, goodRule)
	for _, validate := range []func(p, old *corev1.Pod) bool{
		func(p, old *corev1.Pod) bool {
			return strings.Contains(validateUpdate(p, old).ToAggregate().Error(), onUpdateField)
		},
		func(p, old *corev1.Pod) bool {
			return strings.Contains(validateStatus(p, old).ToAggregate().Error(), onUpdateField)
		},
	} {
		// Both specs lack what defaults add, so that there is always another error.
		bad.Finalizers, good.Finalizers = []string{"x"}, []string{"x"}
		none := good.DeepCopy()
		none.Annotations = nil
		if !validate(bad, good) || !validate(bad, none) {
			t.Error("a bad annotation comes in by an update")
		}
		if validate(bad, bad) || validate(good, bad) || validate(none, bad) {
			t.Error("a stored bad annotation stands in the way")
		}
	}
}
