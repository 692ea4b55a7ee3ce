package apiserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/util/feature"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry"
)

// TestControllersDoNotWaitForClients fills the place for requests in flight: another
// client is sent away, the process itself is served.
func TestControllersDoNotWaitForClients(t *testing.T) {
	sch, err := registry.Kinds().Scheme()
	if err != nil {
		t.Fatal(err)
	}
	nobody := authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) { return nil, false, nil })
	c := New(Config{Wall: clock.Real()}).libraryConfig(sch, bodyChecks(sch))
	c.RequestInfoResolver = &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	c.Authentication.Authenticator = authenticate(nil, nobody, clock.Real())
	c.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	c.FeatureGate, c.MaxRequestsInFlight = feature.DefaultFeatureGate, 1
	inside, leave := make(chan struct{}), make(chan struct{})
	h := chain(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Has("stay") {
			close(inside)
			<-leave
		}
	}), c)
	l := newLoopback()
	l.serve(h)
	served := httptest.NewServer(h)
	defer served.Close()
	first := make(chan error)
	go func() {
		resp, err := http.Get(served.URL + "/api/v1/namespaces/stays?stay")
		if err == nil {
			err = resp.Body.Close()
		}
		first <- err
	}()
	<-inside
	get := func(c http.RoundTripper, url string) int {
		t.Helper()
		resp, err := (&http.Client{Transport: c}).Get(url + "/api/v1/namespaces/other")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if got := get(http.DefaultTransport, served.URL); got != http.StatusTooManyRequests {
		t.Errorf("another client gets %d", got)
	}
	if got := get(caller{loopback: l, user: controllerUser("system:kube-scheduler")}, "http://loopback"); got != http.StatusOK {
		t.Errorf("a controller gets %d", got)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
