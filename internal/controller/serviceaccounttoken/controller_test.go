package serviceaccounttoken

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func mint(_ context.Context, c boundtoken.LegacyClaims) (boundtoken.Token, error) {
	return boundtoken.NewToken("token of " + c.ServiceAccountUID + " in " + c.Secret), c.Check()
}

func account(name, uid string, secrets ...string) *corev1.ServiceAccount {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(uid)}}
	for _, s := range secrets {
		sa.Secrets = append(sa.Secrets, corev1.ObjectReference{Name: s})
	}
	return sa
}

func secret(name, account, uid string) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID("uid of " + name), Annotations: map[string]string{corev1.ServiceAccountNameKey: account}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}
	if uid != "" {
		s.Annotations[corev1.ServiceAccountUIDKey] = uid
	}
	return s
}

// running starts a controller on a fake API inside a synctest bubble.
func running(t *testing.T, change func(*Config), objects ...runtime.Object) *fake.Clientset {
	t.Helper()
	client := fake.NewClientset(objects...)
	ctx, cancel := context.WithCancel(t.Context())
	factory := informers.NewSharedInformerFactory(client, 0)
	config := Config{
		Env:  env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)},
		Mint: mint, CA: []byte("PEM"), CleanUpPeriod: 365 * 24 * time.Hour, Clock: clock.APIOf(clock.Real()),
	}
	if change != nil {
		change(&config)
	}
	c := New(config)
	factory.Start(ctx.Done())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
	synctest.Wait()
	return client
}

func get(t *testing.T, client kubernetes.Interface, name string) *corev1.Secret {
	t.Helper()
	s, err := client.CoreV1().Secrets("n").Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantFilled(t *testing.T, s *corev1.Secret, account, uid string) {
	t.Helper()
	if s == nil {
		t.Fatal("the secret is gone")
	}
	want := map[string]string{"ca.crt": "PEM", "namespace": "n", "token": "token of " + uid + " in " + s.Name}
	for key, value := range want {
		if got := string(s.Data[key]); got != value {
			t.Errorf("%s: %s is %q, want %q", s.Name, key, got, value)
		}
	}
	if len(s.Data) != 3 || s.Annotations[corev1.ServiceAccountNameKey] != account || s.Annotations[corev1.ServiceAccountUIDKey] != uid {
		t.Errorf("%s: annotations %v, %d data", s.Name, s.Annotations, len(s.Data))
	}
}

func TestSecretsAreFilledIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := secret("half", "robot", "u1")
		half.Data = map[string][]byte{"token": []byte("token of u1 in half"), "ca.crt": []byte("old")}
		opaque := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "opaque", Annotations: secret("", "robot", "").Annotations}}
		client := running(t, nil, account("robot", "u1"), half, opaque)
		if _, err := client.CoreV1().Secrets("n").Create(t.Context(), secret("new", "robot", ""), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantFilled(t, get(t, client, "new"), "robot", "u1")
		wantFilled(t, get(t, client, "half"), "robot", "u1")
		if s := get(t, client, "opaque"); len(s.Data) != 0 {
			t.Errorf("a secret of another type was filled in: %v", s.Data)
		}
		s := get(t, client, "new")
		delete(s.Data, "token")
		if _, err := client.CoreV1().Secrets("n").Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantFilled(t, get(t, client, "new"), "robot", "u1")
		sa, err := client.CoreV1().ServiceAccounts("n").Get(t.Context(), "robot", metav1.GetOptions{})
		if err != nil || len(sa.Secrets) != 0 {
			t.Errorf("secrets that people made are listed: %v, %v", sa, err)
		}
	})
}

func TestSecretsGoWithTheirAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := running(t, nil, account("robot", "u1"), secret("mine", "robot", "u1"), secret("of-its-past", "robot", "u0"), secret("of-nobody", "nobody", ""))
		if s := get(t, client, "of-its-past"); s != nil {
			t.Errorf("the secret of an account that was created again is there: %+v", s)
		}
		if s := get(t, client, "of-nobody"); s != nil {
			t.Errorf("the secret of no account is there: %+v", s)
		}
		wantFilled(t, get(t, client, "mine"), "robot", "u1")
		if err := client.CoreV1().ServiceAccounts("n").Delete(t.Context(), "robot", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := get(t, client, "mine"); s != nil {
			t.Errorf("the secret outlives its account: %+v", s)
		}
	})
}

func TestDeletedSecretsAreTakenOffTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := running(t, nil, account("robot", "u1", "other", "mine"), secret("mine", "robot", "u1"))
		if err := client.CoreV1().Secrets("n").Delete(t.Context(), "mine", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		sa, err := client.CoreV1().ServiceAccounts("n").Get(t.Context(), "robot", metav1.GetOptions{})
		if err != nil || len(sa.Secrets) != 1 || sa.Secrets[0].Name != "other" {
			t.Errorf("lists %v, %v", sa.Secrets, err)
		}
	})
}

var generated = regexp.MustCompile(`^default-token-[a-z0-9]{5}$`)

func TestAccountsAreGivenASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		create := func(c *Config) { c.Create = true }
		client := running(t, create, account("has", "u2", "kept"), secret("kept", "has", "u2"))
		accounts := client.CoreV1().ServiceAccounts("n")
		if _, err := accounts.Create(t.Context(), account("default", "u1", "pull"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		listed := func(name string) []corev1.ObjectReference {
			t.Helper()
			synctest.Wait()
			sa, err := accounts.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return sa.Secrets
		}
		first := listed("default")
		if len(first) != 2 || first[0].Name != "pull" || !generated.MatchString(first[1].Name) {
			t.Fatalf("lists %v", first)
		}
		wantFilled(t, get(t, client, first[1].Name), "default", "u1")
		if got := listed("has"); len(got) != 1 {
			t.Errorf("an account that has a secret lists %v", got)
		}
		// Who deletes the Secret gets another one.
		if err := client.CoreV1().Secrets("n").Delete(t.Context(), first[1].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		second := listed("default")
		if len(second) != 2 || !generated.MatchString(second[1].Name) || second[1].Name == first[1].Name {
			t.Errorf("after the deletion lists %v, before %v", second, first)
		}
	})
}

func TestReplacedAccountKeepsItsSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := running(t, func(c *Config) { c.Create = true }, secret("by-hand", "default", ""))
		accounts := client.CoreV1().ServiceAccounts("n")
		if _, err := accounts.Create(t.Context(), account("default", "u1"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		first, err := accounts.Get(t.Context(), "default", metav1.GetOptions{})
		if err != nil || len(first.Secrets) != 1 {
			t.Fatalf("%v lists %v", err, first.Secrets)
		}
		for range 3 {
			if _, err := accounts.Update(t.Context(), account("default", "u1"), metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		after, err := accounts.Get(t.Context(), "default", metav1.GetOptions{})
		if err != nil || !slices.Equal(after.Secrets, first.Secrets) {
			t.Errorf("lists %v, %v; before %v", after.Secrets, err, first.Secrets)
		}
		all, err := client.CoreV1().Secrets("n").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(all.Items) != 1 {
			t.Errorf("there are %d secrets, %v", len(all.Items), err)
		}
	})
}

func TestSecretMayStandBeforeItsAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := running(t, nil)
		early, lost := secret("early", "robot", ""), secret("lost", "nobody", "")
		for _, s := range []*corev1.Secret{early, lost} {
			s.CreationTimestamp = metav1.Now()
			if _, err := client.CoreV1().Secrets("n").Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if get(t, client, "early") == nil || get(t, client, "lost") == nil {
			t.Error("a secret went before its account had time to come")
		}
		if _, err := client.CoreV1().ServiceAccounts("n").Create(t.Context(), account("robot", "u1"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * patience)
		synctest.Wait()
		wantFilled(t, get(t, client, "early"), "robot", "u1")
		if s := get(t, client, "lost"); s != nil {
			t.Errorf("the secret of no account is there: %v", s.Name)
		}
		all, err := client.CoreV1().Events("n").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(all.Items) != 1 || all.Items[0].InvolvedObject.Name != "lost" || all.Items[0].Reason != "ServiceAccountNotFound" {
			t.Errorf("events %+v, %v", all.Items, err)
		}
	})
}

// A Secret that could not be listed must not stay behind: nothing would clean it up.
func TestUnlistedSecretsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := running(t, func(c *Config) { c.Create = true })
		var fail atomic.Bool
		fail.Store(true)
		client.PrependReactor("update", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
			if fail.Load() {
				return true, nil, apierrors.NewInternalError(errors.New("no"))
			}
			return false, nil, nil
		})
		if _, err := client.CoreV1().ServiceAccounts("n").Create(t.Context(), account("default", "u1"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		fail.Store(false)
		time.Sleep(time.Minute)
		list, err := client.CoreV1().Secrets("n").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 {
			t.Errorf("%d secrets, %v", len(list.Items), err)
		}
	})
}

func TestConfigMapSaysSinceWhenUsesAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := running(t, nil)
		maps := client.CoreV1().ConfigMaps("kube-system")
		since := func() string {
			t.Helper()
			synctest.Wait()
			m, err := maps.Get(t.Context(), "kube-apiserver-legacy-service-account-token-tracking", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return m.Data["since"]
		}
		if got := since(); got != "2000-01-01" {
			t.Errorf("since %q, want the first day of the test's time", got)
		}
		time.Sleep(48 * time.Hour)
		if got := since(); got != "2000-01-01" {
			t.Errorf("since %q, moved on with the time", got)
		}
		m, err := maps.Get(t.Context(), "kube-apiserver-legacy-service-account-token-tracking", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Data = map[string]string{"since": "ever"}
		if _, err := maps.Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := since(); got != "2000-01-03" {
			t.Errorf("since %q after it was no date", got)
		}
		if err := maps.Delete(t.Context(), m.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := since(); got != "2000-01-03" {
			t.Errorf("since %q after it was deleted", got)
		}
	})
}

func TestUnusedSecretsAreMarkedAndThenDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clk := clocktesting.NewFakeClock(time.Now())
		lists := account("default", "u1", "unused", "mounted", "used", "young")
		var all []runtime.Object
		for _, name := range []string{"unused", "mounted", "used", "young", "manual"} {
			s := secret(name, "default", "u1")
			s.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
			if name == "used" {
				s.Labels = map[string]string{lastUsedLabel: "2001-01-01"}
			}
			if name == "young" {
				s.CreationTimestamp = metav1.NewTime(time.Now().Add(1000 * 24 * time.Hour))
			}
			all = append(all, s)
		}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
			{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mounted"}}}}}}
		client := running(t, func(c *Config) { c.Clock = clock.APIOf(clk) }, append(all, lists, pod)...)
		state := func() (marked, gone []string) {
			t.Helper()
			synctest.Wait()
			for _, name := range []string{"unused", "mounted", "used", "young", "manual"} {
				if s := get(t, client, name); s == nil {
					gone = append(gone, name)
				} else if s.Labels[invalidSinceLabel] != "" {
					marked = append(marked, name)
				}
			}
			return marked, gone
		}
		clk.Step(365 * 24 * time.Hour) // the day after the tracking began, and a year: 2001-01-01
		if marked, gone := state(); len(marked)+len(gone) != 0 {
			t.Errorf("too early: marked %v, gone %v", marked, gone)
		}
		clk.Step(24 * time.Hour)
		if marked, gone := state(); !slices.Equal(marked, []string{"unused"}) || len(gone) != 0 {
			t.Errorf("after a year: marked %v, gone %v", marked, gone)
		}
		clk.Step(365 * 24 * time.Hour)
		if _, gone := state(); len(gone) != 0 {
			t.Errorf("after two years less a day: gone %v", gone)
		}
		clk.Step(24 * time.Hour)
		if marked, gone := state(); !slices.Equal(gone, []string{"unused"}) || !slices.Equal(marked, []string{"used"}) {
			t.Errorf("after two years: marked %v, gone %v", marked, gone)
		}
	})
}
