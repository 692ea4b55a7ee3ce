package podidentity

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/api"
)

const role = "arn:aws:iam::111122223333:role/reader"

// admitted is a pod's way through the plugin.
type admitted struct {
	*Plugin
	client  *fake.Clientset
	account *corev1.ServiceAccount
	warned  []string
}

func (w *admitted) AddWarning(_, text string) { w.warned = append(w.warned, text) }

func plugin(t *testing.T, s Settings, annotations map[string]string, objects ...runtime.Object) *admitted {
	t.Helper()
	w := &admitted{account: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "builder", Annotations: annotations}}}
	w.client = fake.NewClientset(append(objects, w.account)...)
	var err error
	w.Plugin, err = New(Config{
		Client: w.client, Settings: s, Log: slog.New(slog.DiscardHandler),
		Account: func(admission.Attributes) *corev1.ServiceAccount { return w.account },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newPod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}, Spec: corev1.PodSpec{
		ServiceAccountName: "builder", Containers: []corev1.Container{{Name: "c"}},
	}}
	if change != nil {
		change(p)
	}
	return p
}

func (w *admitted) creates(t *testing.T, pod *corev1.Pod) error {
	t.Helper()
	a := admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "n", pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "ann"})
	return w.Admit(warning.WithWarningRecorder(t.Context(), w), a, nil)
}

// injected tells whether a pod has a role.
func injected(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "AWS_ROLE_ARN" && e.Value == role })
}

func annotated() map[string]string { return map[string]string{"eks.amazonaws.com/role-arn": role} }

func TestPodOfAnAnnotatedAccountHasARole(t *testing.T) {
	w := plugin(t, Settings{Region: "eu-central-1", RegionalSTS: true}, annotated())
	pod := newPod(nil)
	for range 2 { // again changes nothing
		if err := w.creates(t, pod); err != nil {
			t.Fatal(err)
		}
		if len(pod.Spec.Containers[0].Env) != 5 || len(pod.Spec.Volumes) != 1 || *pod.Spec.Volumes[0].Projected.DefaultMode != 0o644 {
			t.Errorf("admitted as %+v", pod.Spec)
		}
		if got, want := pod.Annotations[api.PodIdentity], "role "+role+"; token for sts.amazonaws.com, 86400 s; containers: c"; got != want {
			t.Errorf("annotated %q, want %q", got, want)
		}
	}
	if len(w.warned) > 0 || len(w.client.Actions()) > 0 {
		t.Errorf("warned %q, asked %v", w.warned, w.client.Actions())
	}
}

func TestPodOfAnyOtherAccountIsLeftAlone(t *testing.T) {
	w := plugin(t, Settings{Region: "eu-central-1", RegionalSTS: true, Account: "111122223333"}, nil)
	pod := newPod(nil)
	before := pod.DeepCopy()
	if err := w.creates(t, pod); err != nil {
		t.Fatal(err)
	}
	pod.Annotations = nil // a map may have been made
	if !apiEqual(before, pod) || len(w.warned) > 0 {
		t.Errorf("admitted as %+v, warned %q", pod, w.warned)
	}
	w.account = nil // a mirror pod
	if err := w.creates(t, newPod(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "" })); err != nil {
		t.Error(err)
	}
}

func apiEqual(a, b *corev1.Pod) bool {
	x, _ := a.Marshal()
	y, _ := b.Marshal()
	return string(x) == string(y)
}

func TestSkipLabelIsHonouredAndSaid(t *testing.T) {
	w := plugin(t, Settings{}, annotated())
	pod := newPod(func(p *corev1.Pod) { p.Labels = map[string]string{"eks.amazonaws.com/skip-pod-identity-webhook": ""} })
	if err := w.creates(t, pod); err != nil {
		t.Fatal(err)
	}
	if injected(pod) || pod.Annotations[api.PodIdentity] != "nothing injected: the pod has the label eks.amazonaws.com/skip-pod-identity-webhook" {
		t.Errorf("admitted as %+v", pod)
	}
}

func TestProblemsAreWarnedOf(t *testing.T) {
	w := plugin(t, Settings{}, annotated())
	pod := newPod(func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "AWS_ROLE_ARN", Value: role}} })
	if err := w.creates(t, pod); err != nil {
		t.Fatal(err)
	}
	want := "container c: AWS_ROLE_ARN is set and AWS_WEB_IDENTITY_TOKEN_FILE is not, which was not added: set both or neither"
	if !slices.Equal(w.warned, []string{"pod identity: " + want}) || !strings.HasSuffix(pod.Annotations[api.PodIdentity], "; problem: "+want) {
		t.Errorf("warned %q, annotated %q", w.warned, pod.Annotations)
	}
}

// TestNobodyElsesReportStays has a pod that was copied from one with a role.
func TestNobodyElsesReportStays(t *testing.T) {
	w := plugin(t, Settings{}, nil)
	pod := newPod(func(p *corev1.Pod) { p.Annotations = map[string]string{api.PodIdentity: "role x", "other": "stays"} })
	if err := w.creates(t, pod); err != nil {
		t.Fatal(err)
	}
	if len(pod.Annotations) != 1 || pod.Annotations["other"] != "stays" {
		t.Errorf("annotated %q", pod.Annotations)
	}
}

func configMap(config string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "eks", Name: "roles"}, Data: map[string]string{"config": config}}
}

func TestConfigMapGivesARoleOrThePodIsRefused(t *testing.T) {
	entry := `{"n/builder": {"RoleARN": "` + role + `", "Audience": "sts.amazonaws.com"}}`
	w := plugin(t, Settings{ConfigMap: "eks/roles"}, nil, configMap(entry))
	pod := newPod(nil)
	if err := w.creates(t, pod); err != nil || !injected(pod) {
		t.Errorf("admitted as %+v, %v", pod.Spec, err)
	}
	if err := plugin(t, Settings{ConfigMap: "eks/roles"}, nil).creates(t, newPod(nil)); err != nil {
		t.Errorf("without a ConfigMap: %v", err)
	}
	w = plugin(t, Settings{ConfigMap: "eks/roles"}, nil, configMap("{"))
	want := `pods "p" is forbidden: whether the pod has a role is not known: ConfigMap eks/roles: key config: unexpected end of JSON input`
	if err := w.creates(t, newPod(nil)); !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("of a broken ConfigMap: %v", err)
	}
	w.account.Annotations = annotated()
	if err := w.creates(t, newPod(nil)); err != nil {
		t.Errorf("with an annotation: %v", err)
	}
	w = plugin(t, Settings{ConfigMap: "eks/roles"}, nil)
	w.client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("down") })
	if err := w.creates(t, newPod(nil)); !apierrors.IsForbidden(err) || !strings.HasSuffix(err.Error(), "reading ConfigMap eks/roles: down") {
		t.Errorf("without a store: %v", err)
	}
}

func TestConfigMapThatCannotBeReadIsNotWritten(t *testing.T) {
	w := plugin(t, Settings{ConfigMap: "eks/roles"}, nil)
	written := func(m *corev1.ConfigMap) error {
		a := admission.NewAttributesRecord(m, nil, corev1.SchemeGroupVersion.WithKind("ConfigMap"), m.Namespace, m.Name,
			corev1.SchemeGroupVersion.WithResource("configmaps"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "ann"})
		return w.Validate(context.Background(), a, nil)
	}
	want := `ConfigMap "roles" is invalid: data[config]: Invalid value: key config: "builder" is not NAMESPACE/SERVICEACCOUNT`
	if err := written(configMap(`{"builder": {}}`)); err == nil || err.Error() != want {
		t.Errorf("err = %v", err)
	}
	other := configMap("{")
	other.Namespace = "n"
	for _, m := range []*corev1.ConfigMap{other, configMap(""), configMap("{}")} {
		if err := written(m); err != nil {
			t.Error(err)
		}
	}
}

func TestFileOfContainerCredentialsCountsAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identities.json")
	w := plugin(t, Settings{IdentitiesFile: file}, annotated())
	agent := func() bool {
		pod := newPod(nil)
		if err := w.creates(t, pod); err != nil {
			t.Fatal(err)
		}
		return pod.Labels["eks.amazonaws.com/pod-identity"] == "enabled" && !injected(pod)
	}
	for _, step := range []struct {
		text string
		want bool
	}{
		{"", false},
		{`{"identities": [{"namespace": "n", "serviceAccount": "builder"}]}`, true},
		{`{"identities": [`, true}, // the last good one counts
		{`{"identities": [{"namespace": "n", "serviceAccount": "other"}]}`, false},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := agent(); got != step.want {
			t.Errorf("after %q: container credentials %v", step.text, got)
		}
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Settings: Settings{IdentitiesFile: file}}); err == nil {
		t.Error("a broken file at the start is no error")
	}
}

func TestEphemeralContainersOfAPodWithATokenHaveTheRole(t *testing.T) {
	for name, tc := range map[string]struct {
		with, skip bool
		want       bool
	}{
		"with": {true, false, true}, "without a token": {false, false, false}, "skipped": {true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := plugin(t, Settings{}, annotated())
			old := newPod(nil)
			if tc.skip {
				old.Annotations = map[string]string{"eks.amazonaws.com/skip-containers": "new"}
			}
			if tc.with {
				if err := w.creates(t, old); err != nil {
					t.Fatal(err)
				}
			}
			old.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "old"}}}
			pod := old.DeepCopy()
			pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "new"}})
			a := admission.NewAttributesRecord(pod, old, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p",
				corev1.SchemeGroupVersion.WithResource("pods"), "ephemeralcontainers", admission.Update, &metav1.UpdateOptions{}, false, &user.DefaultInfo{Name: "ann"})
			if err := w.Admit(t.Context(), a, nil); err != nil {
				t.Fatal(err)
			}
			if c := pod.Spec.EphemeralContainers; len(c[0].Env) > 0 || (len(c[1].Env) == 2 && len(c[1].VolumeMounts) == 1) != tc.want {
				t.Errorf("ephemeral containers %+v", c)
			}
		})
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for want, s := range map[string]Settings{
		`"Frankfurt" is not the name of a region, such as eu-central-1`:                            {Region: "Frankfurt"},
		`"1" is not the number of an account, which has 12 digits`:                                 {Account: "1"},
		`"roles" is not NAMESPACE/NAME of a ConfigMap, such as eks/pod-identity-webhook`:           {ConfigMap: "roles"},
		`"eks/roles/other" is not NAMESPACE/NAME of a ConfigMap, such as eks/pod-identity-webhook`: {ConfigMap: "eks/roles/other"},
	} {
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if err := (Settings{Region: "eu-central-1", Account: "111122223333", ConfigMap: "eks/roles"}).Validate(); err != nil {
		t.Error(err)
	}
}
