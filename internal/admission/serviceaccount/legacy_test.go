package serviceaccount_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/admission/serviceaccount"
	"laterna.dev/laterna/internal/clock"
)

func legacy(clk clock.Wall, objects ...runtime.Object) (*serviceaccount.Plugin, *fake.Clientset) {
	client := fake.NewClientset(objects...)
	return serviceaccount.New(serviceaccount.Config{
		Client: client, Clock: clk, Legacy: true,
		VolumeName: func(prefix string) string { return prefix + "abcde" },
	}), client
}

// kept is a Secret with a token of an account.
func kept(name, account, uid string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, Annotations: map[string]string{
			corev1.ServiceAccountNameKey: account, corev1.ServiceAccountUIDKey: uid}},
		Type: corev1.SecretTypeServiceAccountToken,
	}
}

func secretVolume(name, secret string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}
}

func mounted(name string) []corev1.VolumeMount {
	return []corev1.VolumeMount{{Name: name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}
}

func TestLegacyTokensAreMountedFromTheirSecret(t *testing.T) {
	no := false
	for name, tc := range map[string]struct {
		spec    corev1.PodSpec
		volumes []corev1.Volume
		mount   []corev1.VolumeMount
	}{
		"plain":              {corev1.PodSpec{}, []corev1.Volume{secretVolume("default-token-x7k2p", "default-token-x7k2p")}, mounted("default-token-x7k2p")},
		"not wanted":         {corev1.PodSpec{AutomountServiceAccountToken: &no}, nil, nil},
		"there already":      {corev1.PodSpec{Volumes: []corev1.Volume{secretVolume("mine", "default-token-x7k2p")}}, []corev1.Volume{secretVolume("mine", "default-token-x7k2p")}, mounted("mine")},
		"name is taken":      {corev1.PodSpec{Volumes: []corev1.Volume{secretVolume("default-token-x7k2p", "other")}}, []corev1.Volume{secretVolume("default-token-x7k2p", "other"), secretVolume("default-token-x7k2p-abcde", "default-token-x7k2p")}, mounted("default-token-x7k2p-abcde")},
		"something is there": {corev1.PodSpec{Containers: []corev1.Container{{Name: "c", VolumeMounts: mounted("v")}}}, nil, mounted("v")},
	} {
		t.Run(name, func(t *testing.T) {
			sa := account("default")
			sa.UID = "sa"
			sa.Secrets = []corev1.ObjectReference{{Name: "gone"}, {Name: "opaque"}, {Name: "of-another"}, {Name: "of-its-past"}, {Name: "default-token-x7k2p"}, {Name: "second"}}
			p, _ := legacy(clock.Real(), sa, kept("default-token-x7k2p", "default", "sa"), kept("second", "default", "sa"),
				kept("of-another", "other", "sa"), kept("of-its-past", "default", "old"),
				&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "opaque"}})
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: tc.spec}
			if len(pod.Spec.Containers) == 0 {
				pod.Spec.Containers = []corev1.Container{{Name: "c"}}
			}
			a := creating(pod)
			for range 2 { // again changes nothing
				if err := p.Admit(t.Context(), a, nil); err != nil {
					t.Fatal(err)
				}
				if got := pod.Spec.Volumes; !slices.EqualFunc(got, tc.volumes, func(a, b corev1.Volume) bool {
					return a.Name == b.Name && a.Secret.SecretName == b.Secret.SecretName
				}) {
					t.Errorf("volumes %+v", got)
				}
				if got := pod.Spec.Containers[0].VolumeMounts; !slices.EqualFunc(got, tc.mount, func(a, b corev1.VolumeMount) bool {
					return a.Name == b.Name && a.MountPath == b.MountPath && a.ReadOnly == b.ReadOnly
				}) {
					t.Errorf("mounts %+v", got)
				}
			}
		})
	}
}

func TestWaitsForTheSecretOfTheAccount(t *testing.T) {
	p, client := legacy(clock.WallOf(clocktesting.NewFakeClock(time.Unix(0, 0))), account("default"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	done := make(chan error, 1)
	go func() { done <- p.Admit(t.Context(), creating(pod), nil) }()
	for len(client.Actions()) < 2 { // the read and the watch
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // the fake forgets events before its watch
	if _, err := client.CoreV1().Secrets("n").Create(t.Context(), kept("default-token-x7k2p", "default", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	sa := account("default")
	sa.Secrets = []corev1.ObjectReference{{Name: "default-token-x7k2p"}}
	if _, err := client.CoreV1().ServiceAccounts("n").Update(t.Context(), sa, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting although the secret is there")
	}
	if len(pod.Spec.Volumes) != 1 || pod.Spec.Volumes[0].Secret.SecretName != "default-token-x7k2p" {
		t.Errorf("admitted as %+v", pod.Spec)
	}
}

func TestPodsWithoutASecretAreSentAway(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	p, _ := legacy(clock.WallOf(clk), account("default"))
	done := make(chan error, 1)
	go func() {
		done <- p.Admit(t.Context(), creating(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}), nil)
	}()
	for !clk.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clk.Step(1500 * time.Millisecond)
	err := <-done
	if seconds, ok := apierrors.SuggestsClientDelay(err); !apierrors.IsServerTimeout(err) || !ok || seconds != 1 {
		t.Errorf("err = %v, again after %d s (%v)", err, seconds, ok)
	}
	if want := `No API token found for service account "default", retry after the token is automatically created and added to the service account`; err.Error() != want {
		t.Errorf("err = %v\nwant %s", err, want)
	}
}
