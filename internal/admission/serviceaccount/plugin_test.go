package serviceaccount_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/admission/serviceaccount"
	"laterna.dev/laterna/internal/clock"
)

func plugin(clk clock.Wall, objects ...runtime.Object) (*serviceaccount.Plugin, *fake.Clientset) {
	client := fake.NewClientset(objects...)
	return serviceaccount.New(serviceaccount.Config{
		Client: client, Clock: clk,
		VolumeName: func(prefix string) string { return prefix + "abcde" },
	}), client
}

func creating(pod *corev1.Pod) admission.Attributes {
	return admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "n", pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "ann"})
}

func account(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}}
}

func decode[T any](t *testing.T, file string) *T {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := yaml.UnmarshalStrict(data, out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out
}

// golden is a pod, its service account, and the pod as it is admitted.
type golden struct {
	Account *corev1.ServiceAccount `json:"account"`
	Pod     *corev1.Pod            `json:"pod"`
	Want    *corev1.Pod            `json:"want"`
}

func TestGoldenPods(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			tc := decode[golden](t, file)
			tc.Account.Namespace = "n"
			p, _ := plugin(clock.Real(), tc.Account)
			a := creating(tc.Pod)
			if err := p.Admit(t.Context(), a, nil); err != nil {
				t.Fatal(err)
			}
			got, _ := json.MarshalIndent(tc.Pod.Spec, "", " ")
			want, _ := json.MarshalIndent(tc.Want.Spec, "", " ")
			if string(got) != string(want) {
				t.Errorf("admitted as\n%s\nwant\n%s", got, want)
			}
			if read := serviceaccount.Read(a); read == nil || read.Name != tc.Account.Name {
				t.Errorf("service account kept for later plugins = %v, want %s", read, tc.Account.Name)
			}
			if err := p.Validate(t.Context(), a, nil); err != nil {
				t.Errorf("admitted pod is not valid: %v", err)
			}
			again, _ := json.Marshal(tc.Pod.Spec)
			if err := p.Admit(t.Context(), a, nil); err != nil {
				t.Fatal(err)
			}
			if after, _ := json.Marshal(tc.Pod.Spec); string(after) != string(again) {
				t.Error("a second run changes the pod again")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	limited := account("limited")
	limited.Annotations = map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}
	limited.Secrets = []corev1.ObjectReference{{Name: "mine"}}
	limited.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	no := false
	spec := func(account string, change func(*corev1.PodSpec)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{
			ServiceAccountName: account, AutomountServiceAccountToken: &no, Containers: []corev1.Container{{Name: "c"}},
		}}
		if change != nil {
			change(&p.Spec)
		}
		return p
	}
	mirror := func(account string, change func(*corev1.PodSpec)) *corev1.Pod {
		p := spec(account, change)
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		return p
	}
	env := func(secret string) []corev1.EnvVar {
		return []corev1.EnvVar{{Name: "E", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}
	}
	from := func(secret string) []corev1.EnvFromSource {
		return []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}
	}
	projected := func(s corev1.VolumeProjection) []corev1.Volume {
		return []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{s}}}}}
	}
	local := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	const notListed = ` is not allowed because service account limited does not reference that secret`
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string // "" admits
	}{
		"missing account": {spec("nobody", nil), `error looking up service account n/nobody: serviceaccount "nobody" not found`},
		"plain":           {spec("limited", nil), ""},
		"listed secrets": {spec("limited", func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mine"}}}}
			s.Containers[0].Env, s.Containers[0].EnvFrom = env("mine"), from("mine")
			s.ImagePullSecrets = []corev1.LocalObjectReference{local("pull")}
		}), ""},
		"volume": {spec("limited", func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}}}
		}), `volume with secret.secretName="x"` + notListed},
		"projected volume": {spec("limited", func(s *corev1.PodSpec) {
			s.Volumes = projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: local("x")}})
		}), `projected volume with secret.secretName="x"` + notListed},
		"env": {spec("limited", func(s *corev1.PodSpec) { s.Containers[0].Env = env("x") }),
			`container c with envVar E referencing secret.secretName="x"` + notListed},
		"envFrom": {spec("limited", func(s *corev1.PodSpec) { s.Containers[0].EnvFrom = from("x") }),
			`container c with envFrom referencing secret.secretName="x"` + notListed},
		"env of an init container": {spec("limited", func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{Name: "i", Env: env("x")}}
		}), `init container i with envVar E referencing secret.secretName="x"` + notListed},
		"envFrom of an init container": {spec("limited", func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{Name: "i", EnvFrom: from("x")}}
		}), `init container i with envFrom referencing secret.secretName="x"` + notListed},
		"pull secret": {spec("limited", func(s *corev1.PodSpec) { s.ImagePullSecrets = []corev1.LocalObjectReference{local("x")} }),
			`imagePullSecrets[0].name="x" is not allowed because service account limited does not reference that imagePullSecret`},
		"without the annotation": {spec("free", func(s *corev1.PodSpec) { s.Containers[0].EnvFrom = from("x") }), ""},

		"mirror pod":              {mirror("", nil), ""},
		"mirror pod with account": {mirror("free", nil), "a mirror pod may not reference service accounts"},
		"mirror pod with secret":  {mirror("", func(s *corev1.PodSpec) { s.Containers[0].Env = env("x") }), "a mirror pod may not reference secrets"},
		"mirror pod with pull secret": {mirror("", func(s *corev1.PodSpec) { s.ImagePullSecrets = []corev1.LocalObjectReference{local("x")} }),
			"a mirror pod may not reference secrets"},
		"mirror pod with token": {mirror("", func(s *corev1.PodSpec) {
			s.Volumes = projected(corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "t"}})
		}), "a mirror pod may not use ServiceAccountToken volume projections"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plugin(clock.Real(), limited, account("free"))
			err := p.Admit(t.Context(), creating(tc.pod), nil)
			if tc.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if want := `pods "p" is forbidden: ` + tc.want; !apierrors.IsForbidden(err) || err.Error() != want {
				t.Errorf("err = %v\nwant %s", err, want)
			}
		})
	}
}

// TestValidateChecksAgain checks that a pod changed after the mutation is refused.
func TestValidateChecksAgain(t *testing.T) {
	p, _ := plugin(clock.Real(), account("default"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	if err := p.Validate(t.Context(), creating(pod), nil); err == nil || !strings.Contains(err.Error(), "no service account specified for pod n/p") {
		t.Errorf("without a service account: %v", err)
	}
	pod.Spec.ServiceAccountName = "other"
	if err := p.Validate(t.Context(), creating(pod), nil); err == nil || !strings.Contains(err.Error(), `serviceaccount "other" not found`) {
		t.Errorf("with one that is missing: %v", err)
	}
}

func TestIgnoresTheRest(t *testing.T) {
	p, client := plugin(clock.Real())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	gvk, gvr := corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithResource("pods")
	for _, a := range []admission.Attributes{
		admission.NewAttributesRecord(pod, nil, gvk, "n", "p", gvr, "binding", admission.Create, nil, false, nil),
		admission.NewAttributesRecord(pod, pod, gvk, "n", "p", gvr, "", admission.Update, nil, false, nil),
		admission.NewAttributesRecord(&corev1.ConfigMap{}, nil, gvk, "n", "p", corev1.SchemeGroupVersion.WithResource("configmaps"), "", admission.Create, nil, false, nil),
	} {
		if err := p.Admit(t.Context(), a, nil); err != nil {
			t.Error(err)
		}
		if err := p.Validate(t.Context(), a, nil); err != nil {
			t.Error(err)
		}
	}
	if n := len(client.Actions()); n != 0 || pod.Spec.ServiceAccountName != "" {
		t.Errorf("%d reads, service account %q, want nothing done", n, pod.Spec.ServiceAccountName)
	}
}

// TestWaitsForTheDefaultAccount creates a pod before its namespace has one.
func TestWaitsForTheDefaultAccount(t *testing.T) {
	p, client := plugin(clock.WallOf(clocktesting.NewFakeClock(time.Unix(0, 0))))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	done := make(chan error, 1)
	go func() { done <- p.Admit(t.Context(), creating(pod), nil) }()
	for len(client.Actions()) < 2 { // the read and the watch
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // the fake forgets events before its watch
	if _, err := client.CoreV1().ServiceAccounts("n").Create(t.Context(), account("default"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting although the service account is there")
	}
	if pod.Spec.ServiceAccountName != "default" || len(pod.Spec.Volumes) != 1 {
		t.Errorf("admitted as %+v", pod.Spec)
	}
}

func TestDoesNotWaitForever(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	p, _ := plugin(clock.WallOf(clk))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	done := make(chan error, 1)
	go func() { done <- p.Admit(t.Context(), creating(pod), nil) }()
	for !clk.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clk.Step(1499 * time.Millisecond)
	select {
	case err := <-done:
		t.Fatalf("gave up early: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	clk.Step(time.Millisecond)
	if err := <-done; err == nil || !strings.Contains(err.Error(), `error looking up service account n/default: serviceaccount "default" not found`) {
		t.Errorf("err = %v", err)
	}
}

// TestEphemeralContainersAreLimitedToTheAccountsSecrets adds ephemeral containers to a pod
// that has a secret from before its account was limited.
func TestEphemeralContainersAreLimitedToTheAccountsSecrets(t *testing.T) {
	limited := account("limited")
	limited.Annotations = map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}
	limited.Secrets = []corev1.ObjectReference{{Name: "mine"}}
	p, _ := plugin(clock.Real(), limited)
	for secret, refused := range map[string]bool{"mine": false, "other": true} {
		old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{
			ServiceAccountName: "limited", ImagePullSecrets: []corev1.LocalObjectReference{{Name: "from before"}},
		}}
		pod := old.DeepCopy()
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "e", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}},
		}}}
		a := admission.NewAttributesRecord(pod, old, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p",
			corev1.SchemeGroupVersion.WithResource("pods"), "ephemeralcontainers", admission.Update, &metav1.UpdateOptions{}, false, &user.DefaultInfo{Name: "ann"})
		err := p.Validate(t.Context(), a, nil)
		if (err != nil) != refused {
			t.Errorf("with secret %s: %v", secret, err)
		}
		if !p.Handles(admission.Update) {
			t.Error("the plugin is not asked")
		}
	}
}
