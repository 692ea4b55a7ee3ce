package apiserver_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/component"
)

// operators is a client of operator.openshift.io with all rights.
func (s *system) operators() rest.Interface {
	s.t.Helper()
	sch := runtime.NewScheme()
	must(s.t, operatorv1.AddToScheme(sch))
	c := s.config("admin", "system:masters")
	c.APIPath, c.GroupVersion = "/apis", &operatorv1.SchemeGroupVersion
	c.NegotiatedSerializer = serializer.NewCodecFactory(sch).WithoutConversion()
	client, err := rest.RESTClientFor(c)
	must(s.t, err)
	return client
}

func (s *system) trust(k *operatorv1.KubeAPIServer, active string, former ...operatorv1.ServiceAccountIssuerStatus) {
	s.t.Helper()
	k.Status.ServiceAccountIssuers = append([]operatorv1.ServiceAccountIssuerStatus{{Name: active}}, former...)
	must(s.t, s.operators().Put().Resource("kubeapiservers").Name("cluster").SubResource("status").Body(k).Do(s.t.Context()).Into(k))
}

func (s *system) discovers(want string) {
	s.t.Helper()
	eventually(s.t, func() error {
		code, doc := s.fetch(s.insecure(), http.MethodGet, "/.well-known/openid-configuration", nil)
		if code != 200 || !strings.HasPrefix(string(doc), `{"issuer":"`+want+`",`) {
			return fmt.Errorf("%d %s", code, doc)
		}
		return nil
	})
}

// beside boots a second server on the store of the first.
func (s *system) beside(t *testing.T) *system {
	t.Helper()
	other := build(t, t.TempDir(), func(c *apiserver.Config) {
		c.Store = apiserver.StoreConfig{Await: s.store.Await, EncryptionKeyFile: filepath.Join(s.dir, "encryption", "keys")}
	})
	other.group = component.Group{Log: other.group.Log}
	other.group.Add(other.server)
	must(t, other.group.Start(t.Context()))
	eventually(t, other.server.Ready)
	return other
}

func (s *system) mint(t *testing.T) string {
	t.Helper()
	req, err := s.admin().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return req.Status.Token
}

func (s *system) reviews(t *testing.T, token string) authenticationv1.TokenReviewStatus {
	t.Helper()
	r, err := s.admin().AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	must(t, err)
	return r.Status
}

// A token that one server has issued in the moment of the change is good on the other.
func TestServersAgreeOnIssuersAtEveryMoment(t *testing.T) {
	a := boot(t, t.TempDir())
	b := a.beside(t)
	_, err := a.admin().CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	must(t, err)
	k := &operatorv1.KubeAPIServer{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}
	must(t, a.operators().Post().Resource("kubeapiservers").Body(k).Do(t.Context()).Into(k))
	var former []operatorv1.ServiceAccountIssuerStatus
	audience := "https://kubernetes.default.svc"
	for i := range 10 {
		before := a.mint(t)
		former = append(former, operatorv1.ServiceAccountIssuerStatus{Name: audience, ExpirationTime: &metav1.Time{Time: time.Now().Add(time.Hour)}})
		audience = fmt.Sprintf("https://issuer-%d.example", i)
		a.trust(k, audience, former...)
		for j := range 5 {
			for what, token := range map[string]string{"old": before, "new": a.mint(t)} {
				for name, s := range map[string]*system{"a": a, "b": b} {
					if r := s.reviews(t, token); !r.Authenticated {
						t.Errorf("change %d, look %d: server %s refuses the %s token: %s", i, j, name, what, r.Error)
					}
				}
			}
		}
		b.discovers(audience)
	}
}

func TestIssuersAreTakenOverFromTheStatus(t *testing.T) {
	dir := t.TempDir()
	s := boot(t, dir)
	k := &operatorv1.KubeAPIServer{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}
	must(t, s.operators().Post().Resource("kubeapiservers").Body(k).Do(t.Context()).Into(k))
	s.discovers("https://kubernetes.default.svc")
	s.trust(k, "https://one.example", operatorv1.ServiceAccountIssuerStatus{Name: "https://old.example/path", ExpirationTime: &metav1.Time{Time: time.Now().Add(time.Hour)}})
	s.discovers("https://one.example")
	if code, doc := s.fetch(s.insecure(), http.MethodGet, "/path/.well-known/openid-configuration", nil); code != 200 || !strings.Contains(string(doc), "https://old.example/path") {
		t.Errorf("%d %s", code, doc)
	}
	s.trust(k, "https://two.example")
	s.discovers("https://two.example")
	if code, doc := s.fetch(s.insecure(), http.MethodGet, "/path/.well-known/openid-configuration", nil); code != 404 {
		t.Errorf("%d %s", code, doc)
	}
	must(t, s.group.Stop(t.Context()))

	again := boot(t, dir)
	// From the first answer on, not after a while.
	if code, doc := again.fetch(again.insecure(), http.MethodGet, "/.well-known/openid-configuration", nil); code != 200 || !strings.Contains(string(doc), "https://two.example") {
		t.Errorf("after a restart: %d %s", code, doc)
	}
}
