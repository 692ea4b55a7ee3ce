package apiserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestLoopback(t *testing.T) {
	shared(t, map[string]func(*testing.T, *system){
		"acts as the server":        testLoopbackUser,
		"streams watches":           testLoopbackWatch,
		"ends with its context":     testLoopbackCancel,
		"lends nobody its identity": testLoopbackReview,
		"large answers":             testLoopbackLarge,
		"acts as a controller":      testLoopbackController,
	})
}

// local returns a client of the loopback.
func (s *system) local() kubernetes.Interface {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(s.server.LoopbackConfig())
	must(s.t, err)
	return c
}

func testLoopbackUser(t *testing.T, s *system) {
	me, err := s.local().AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	must(t, err)
	if u := me.Status.UserInfo; u.Username != "system:apiserver" || strings.Join(u.Groups, " ") != "system:masters system:authenticated" {
		t.Errorf("is %v", u)
	}
	maps := s.local().CoreV1().ConfigMaps("default")
	_, err = maps.Create(t.Context(), configMap("loop", map[string]string{"a": "b"}), metav1.CreateOptions{})
	must(t, err)
	if _, err := maps.Create(t.Context(), configMap("loop", nil), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("second creation: %v", err)
	}
	d, err := dynamic.NewForConfig(s.server.LoopbackConfig())
	must(t, err)
	got, err := d.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default").Get(t.Context(), "loop", metav1.GetOptions{})
	must(t, err)
	if got.GetName() != "loop" {
		t.Errorf("dynamic client got %v", got)
	}
}

// controller returns a client of the loopback that acts as a user.
func (s *system) controller(user string) kubernetes.Interface {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(s.server.ControllerConfig(user))
	must(s.t, err)
	return c
}

func testLoopbackController(t *testing.T, s *system) {
	for user, groups := range map[string]string{
		"system:serviceaccount:kube-system:pod-garbage-collector": "system:serviceaccounts system:serviceaccounts:kube-system system:authenticated",
		"system:kube-scheduler":                                   "system:authenticated",
	} {
		c := s.controller(user)
		me, err := c.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		must(t, err)
		if u := me.Status.UserInfo; u.Username != user || strings.Join(u.Groups, " ") != groups {
			t.Errorf("is %v", u)
		}
		if _, err := c.CoreV1().Nodes().Get(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s reads a node: %v, want NotFound", user, err)
		}
		for what, err := range map[string]error{
			"reads Secrets":       second(c.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})),
			"makes a ConfigMap":   second(c.CoreV1().ConfigMaps("default").Create(t.Context(), configMap("mine", nil), metav1.CreateOptions{})),
			"reads what it binds": second(c.RbacV1().ClusterRoles().Get(t.Context(), "cluster-admin", metav1.GetOptions{})),
		} {
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `User "`+user+`"`) {
				t.Errorf("%s %s: %v, want Forbidden", user, what, err)
			}
		}
		as := s.server.ControllerConfig(user)
		as.Impersonate.UserName, as.Impersonate.Groups = "admin", []string{"system:masters"}
		other, err := kubernetes.NewForConfig(as)
		must(t, err)
		if _, err := other.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s becomes somebody else: %v", user, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func testLoopbackWatch(t *testing.T, s *system) {
	maps := s.local().CoreV1().ConfigMaps("default")
	w, err := maps.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=looped"})
	must(t, err)
	for range 3 {
		_, err := maps.Create(t.Context(), configMap("looped", nil), metav1.CreateOptions{})
		must(t, err)
		if e := next(t, w); e.Type != watch.Added {
			t.Errorf("event %v", e)
		}
		must(t, maps.Delete(t.Context(), "looped", metav1.DeleteOptions{}))
		if e := next(t, w); e.Type != watch.Deleted {
			t.Errorf("event %v", e)
		}
	}
	w.Stop()
	for range w.ResultChan() {
	}
}

func testLoopbackCancel(t *testing.T, s *system) {
	c, err := rest.HTTPClientFor(s.server.LoopbackConfig())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://loopback/api/v1/configmaps?watch=1", nil)
	must(t, err)
	resp, err := c.Do(req)
	must(t, err)
	defer resp.Body.Close()
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("reading a cancelled watch: %v", err)
	}
	if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("request under an ended context: %v", err)
	}
}

// testLoopbackReview asks over the loopback about a token that is none.
func testLoopbackReview(t *testing.T, s *system) {
	for _, token := range []string{"nonsense", "a.b.c"} {
		review, err := s.local().AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		must(t, err)
		if review.Status.Authenticated || review.Status.User.Username != "" || !strings.Contains(review.Status.Error, "invalid bearer token") {
			t.Errorf("token %q: %+v", token, review.Status)
		}
	}
	// A client cannot mark its own requests.
	if got, _ := s.fetch(s.insecure(), "GET", "/api/v1/secrets", nil, "X-Remote-User", "system:apiserver", "X-Remote-Group", "system:masters"); got != http.StatusForbidden {
		t.Errorf("remote user headers are believed: %d", got)
	}
}

func testLoopbackLarge(t *testing.T, s *system) {
	maps := s.local().CoreV1().ConfigMaps("default")
	text := strings.Repeat("x", 900<<10)
	_, err := maps.Create(t.Context(), configMap("large", map[string]string{"a": text}), metav1.CreateOptions{})
	must(t, err)
	got, err := maps.Get(t.Context(), "large", metav1.GetOptions{})
	must(t, err)
	if got.Data["a"] != text {
		t.Errorf("%d of %d bytes came back", len(got.Data["a"]), len(text))
	}
}

// TestLoopbackWaits makes a request before the server has started.
func TestLoopbackWaits(t *testing.T) {
	s := build(t, t.TempDir())
	got := make(chan error, 2)
	// A controller's request finds its rights, however early it comes.
	for _, c := range []kubernetes.Interface{s.local(), s.controller("system:serviceaccount:kube-system:shared-informers")} {
		go func() {
			_, err := c.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
			got <- err
		}()
	}
	must(t, s.group.Start(t.Context()))
	for range cap(got) {
		select {
		case err := <-got:
			must(t, err)
		case <-time.After(10 * time.Second):
			t.Error("the request was forgotten")
		}
	}
}
