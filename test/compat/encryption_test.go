package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestRotationOfTheStoreKeySurvivesKills ends the process at random moments of a
// rotation. Nothing is lost, and the rotation ends by itself.
func TestRotationOfTheStoreKeySurvivesKills(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false")
	const workers = 20
	n, kills := 800, 4
	if soak() {
		n, kills = 2000, 12
	}
	secrets := s.client(t).CoreV1().Secrets("default")
	made := make(chan error)
	for w := range workers {
		go func() {
			var err error
			for i := w; i < n && err == nil; i += workers {
				_, err = secrets.Create(t.Context(), &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s%d", i)},
					StringData: map[string]string{"canary": fmt.Sprintf("canary-number-%d", i)},
				}, metav1.CreateOptions{})
			}
			made <- err
		}()
	}
	for range workers {
		if err := <-made; err != nil {
			t.Fatal(err)
		}
	}
	token := strings.TrimSpace(s.sh(t, "kubectl create token default --duration=1h"))
	read := "kubectl get secrets -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.uid} {.data.canary}{\"\\n\"}{end}' | sort"
	before := s.sh(t, read)
	file := filepath.Join(s.Dir, "pki", "encryption.key")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	s.sh(t, "laterna encryption rotate --data-dir "+s.Dir)
	for range kills {
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if after := s.sh(t, read); after != before {
		t.Errorf("after %d kills:\n%s\nwas:\n%s", kills, after, before)
	}
	eventually(t, 2*time.Minute, func() error {
		if said := s.sh(t, "laterna encryption status --data-dir "+s.Dir); !strings.Contains(said, "complete") || strings.Contains(said, "secretbox key1") {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	now, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(now), "key2 ") || strings.Contains(string(now), strings.Fields(string(old))[1]) {
		t.Error("the key file does not hold the new key alone")
	}
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if after := s.sh(t, read); after != before {
		t.Errorf("in the end:\n%s\nwas:\n%s", after, before)
	}
	review, err := s.client(t).AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil || !review.Status.Authenticated {
		t.Errorf("the token of before: %v, %v", review, err)
	}
	s.onDisk(t, "/registry/secrets/default/s7", "canary-number-7", strings.Fields(string(old))[1], strings.Fields(string(now))[1])
}

// TestRotationOfTheStoreKeyLeavesVolumesAlone shows that pods do not notice: a Secret
// that is written again is another version, but its files stay as they are.
func TestRotationOfTheStoreKeyLeavesVolumesAlone(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.apply(t, "default", `
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {a: b}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers: [{name: c, image: "busybox:1.28", command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v}]}]
  volumes: [{name: v, secret: {secretName: s}}]
`)
	s.running(t, "default", "p")
	version := s.field(t, "default", "secret/s", "{.metadata.resourceVersion}")
	show := func() string {
		return s.exec(t, "default", "p", "sh", "-c", "readlink /v/..data; cat /v/a; ls -lnd /v/..data/; readlink /var/run/secrets/kubernetes.io/serviceaccount/..data")
	}
	before := show()
	s.sh(t, "laterna encryption rotate --data-dir "+s.Dir)
	eventually(t, 20*time.Second, func() error {
		if s.field(t, "default", "secret/s", "{.metadata.resourceVersion}") == version {
			return fmt.Errorf("the secret was not written again")
		}
		return nil
	})
	time.Sleep(time.Second) // an update takes milliseconds
	if after := show(); after != before {
		t.Errorf("volumes were published again:\n%s\nwas:\n%s", after, before)
	}
}
