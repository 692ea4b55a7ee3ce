package apiserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
)

// whoami returns the user that a token stands for.
func (s *system) whoami(token string) (string, error) {
	r, err := s.bearer(token).AuthenticationV1().SelfSubjectReviews().Create(s.t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return r.Status.UserInfo.Username, nil
}

func TestTokenInASecret(t *testing.T) {
	s := boot(t, t.TempDir())
	core := s.admin().CoreV1()
	sa, err := core.ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	must(t, err)
	minted, err := s.keys.MintLegacy(t.Context(), boundtoken.NewLegacyClaims("default", "robot-token", boundtoken.Ref{Name: "robot", UID: string(sa.UID)}))
	must(t, err)
	token := minted.Reveal()
	if _, err := s.whoami(token); err == nil {
		t.Error("the token is good before its secret is there")
	}
	secret, err := core.Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "robot-token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "robot"}},
		Type:       corev1.SecretTypeServiceAccountToken, StringData: map[string]string{"token": token},
	}, metav1.CreateOptions{})
	must(t, err)
	if user, err := s.whoami(token); err != nil || user != "system:serviceaccount:default:robot" {
		t.Errorf("user %q, %v", user, err)
	}
	today := time.Now().UTC().Format("2006-01-02")
	eventually(t, func() error {
		now, err := core.Secrets("default").Get(t.Context(), "robot-token", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := now.Labels["kubernetes.io/legacy-token-last-used"]; got != today {
			return fmt.Errorf("last used %q, want %s", got, today)
		}
		secret = now
		return nil
	})
	for range 3 {
		_, err := s.whoami(token)
		must(t, err)
	}
	if now, err := core.Secrets("default").Get(t.Context(), "robot-token", metav1.GetOptions{}); err != nil || now.ResourceVersion != secret.ResourceVersion {
		t.Errorf("written again on the same day: %v", err)
	}
	secret.Labels["kubernetes.io/legacy-token-invalid-since"] = today
	secret, err = core.Secrets("default").Update(t.Context(), secret, metav1.UpdateOptions{})
	must(t, err)
	review, err := s.admin().AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil || review.Status.Authenticated || !strings.Contains(review.Status.Error, "the token in secret default/robot-token for service account default/robot has been marked invalid.") {
		t.Errorf("marked invalid: %+v, %v", review.Status, err)
	}
	delete(secret.Labels, "kubernetes.io/legacy-token-invalid-since")
	_, err = core.Secrets("default").Update(t.Context(), secret, metav1.UpdateOptions{})
	must(t, err)
	if _, err := s.whoami(token); err != nil {
		t.Errorf("after the mark is gone: %v", err)
	}
	must(t, core.Secrets("default").Delete(t.Context(), "robot-token", metav1.DeleteOptions{}))
	if _, err := s.whoami(token); err == nil {
		t.Error("the token is good although its secret is gone")
	}
}

// TestClientsThatKeepOldTokensAreTold renews a pod's token as its node does.
func TestClientsThatKeepOldTokensAreTold(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Now())
	s, log := audited(t, everything, func(c *apiserver.Config) { c.Clock = clock.APIOf(clk) })
	core := s.admin().CoreV1()
	_, err := core.ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	must(t, err)
	node, err := kubernetes.NewForConfig(s.config("system:node:n1", "system:nodes"))
	must(t, err)
	_, err = node.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, metav1.CreateOptions{})
	must(t, err)
	seconds := int64(7200)
	pod, err := core.Pods("default").Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{
		NodeName: "n1", ServiceAccountName: "robot", Containers: []corev1.Container{{Name: "c", Image: "busybox"}},
		Volumes: []corev1.Volume{{Name: "t", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}}}}}}},
	}}, metav1.CreateOptions{})
	must(t, err)
	ask := func(c kubernetes.Interface) (token string) {
		t.Helper()
		eventually(t, func() error { // the node authorizer hears of the pod
			got, err := c.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
				ExpirationSeconds: &seconds,
				BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "p", UID: pod.UID}}}, metav1.CreateOptions{})
			if err == nil {
				token = got.Status.Token
			}
			return err
		})
		return token
	}
	stale := func() string {
		return find(t, log, "create", "selfsubjectreviews", "").Annotations["authentication.laterna.dev/stale-token"]
	}
	old := ask(node)
	clk.Step(time.Hour)
	impostor, err := kubernetes.NewForConfig(s.config("system:node:n1", "system:masters"))
	must(t, err)
	ask(s.admin()) // somebody else's token replaces nothing
	ask(impostor)  // nor that of who only has a node's name
	clk.Step(time.Minute * 5)
	_, err = s.whoami(old)
	must(t, err)
	if got := stale(); got != "" {
		t.Errorf("marked %q although the node has no newer token", got)
	}
	fresh := ask(node)
	clk.Step(119 * time.Second)
	_, err = s.whoami(old)
	must(t, err)
	if got := stale(); got != "" {
		t.Errorf("marked %q within two minutes", got)
	}
	clk.Step(10 * time.Second)
	for range 3 {
		_, err = s.whoami(old)
		must(t, err)
	}
	if got := stale(); !strings.HasPrefix(got, "reason: superseded, seconds: 1") || !strings.Contains(got, "service account: default/robot, pod: p, pod uid: "+string(pod.UID)) {
		t.Errorf("marked %q", got)
	}
	_, err = s.whoami(fresh)
	must(t, err)
	if got := stale(); got != "" {
		t.Errorf("the new token is marked %q", got)
	}
	eventually(t, func() error {
		list, err := core.Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=StaleToken"})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].InvolvedObject.UID != pod.UID || !strings.Contains(list.Items[0].Message, "A token of service account robot is in use although this pod has had a newer one for 2m") {
			return fmt.Errorf("events %+v", list.Items)
		}
		return nil
	})
}
