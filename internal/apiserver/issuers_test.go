package apiserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
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
