package certificates

import (
	"context"
	"crypto/x509"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/pki"
)

// office is a controller that runs, with its API.
type office struct {
	*testing.T
	client *fake.Clientset
	signed atomic.Int32
}

// opens runs a controller with requests, which are made at its time, until test returns. may tells who has which of the
// rights by which requests are approved by themselves.
func opens(t *testing.T, requests func() []runtime.Object, may func(spec authorizationv1.SubjectAccessReviewSpec) bool, test func(*office)) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		authority, err := pki.OpenAuthority(dir, clock.Real())
		if err != nil {
			t.Fatal(err)
		}
		o := &office{T: t, client: fake.NewClientset(requests()...)}
		o.client.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
			r := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
			r.Status.Allowed = may(r.Spec)
			return true, r, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		c := New(Config{
			Env: env.Env{Name: Name, Client: o.client, Informers: informers.NewSharedInformerFactory(o.client, 0), Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)},
			Sign: func(asked *x509.CertificateRequest, uses pki.Uses, life time.Duration) ([]byte, error) {
				o.signed.Add(1)
				return authority.Sign(asked, uses, life)
			},
		})
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(100 * time.Millisecond)
		test(o)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// request returns a request as it is now.
func (o *office) request(name string) *csr {
	o.Helper()
	r, err := o.client.CertificatesV1().CertificateSigningRequests().Get(o.Context(), name, metav1.GetOptions{})
	if err != nil {
		o.Fatal(err)
	}
	return r
}

// left wants the requests that are there.
func (o *office) left(want ...string) {
	o.Helper()
	time.Sleep(100 * time.Millisecond)
	all, err := o.client.CertificatesV1().CertificateSigningRequests().List(o.Context(), metav1.ListOptions{})
	if err != nil {
		o.Fatal(err)
	}
	var got []string
	for _, r := range all.Items {
		got = append(got, r.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		o.Errorf("left are %v, want %v", got, want)
	}
}

func with(r *csr, changes ...func(*csr)) *csr {
	for _, c := range changes {
		c(r)
	}
	return r
}

func nobody(authorizationv1.SubjectAccessReviewSpec) bool { return false }

func TestApprovedRequestsAreSigned(t *testing.T) {
	asClient := usages{"client auth", "digital signature"}
	opens(t, func() []runtime.Object {
		return []runtime.Object{
			with(requestOf(t, "approved", clients, node(nil), asClient...), has("Approved"), func(r *csr) { r.Spec.ExpirationSeconds = new(int32(3600)) }),
			requestOf(t, "pending", clients, node(nil), asClient...),
			with(requestOf(t, "denied", clients, node(nil), asClient...), has("Denied")),
			with(requestOf(t, "failed", clients, node(nil), asClient...), has("Approved", "Failed")),
			with(requestOf(t, "wrong", kubelet, node(nil), "client auth"), has("Approved")),
			with(requestOf(t, "others", "example.com/a", node(nil), asClient...), has("Approved")),
		}
	}, nobody, func(o *office) {
		if cert := o.request("approved").Status.Certificate; !strings.HasPrefix(string(cert), "-----BEGIN CERTIFICATE-----\n") {
			o.Errorf("signed as %q", cert)
		}
		if at, ok := ends(o.request("approved")); !ok || at.Sub(time.Now()).Round(time.Minute) != time.Hour {
			o.Errorf("it ends at %s", at)
		}
		for _, name := range []string{"pending", "denied", "failed", "wrong", "others"} {
			if r := o.request(name); len(r.Status.Certificate) > 0 {
				o.Errorf("%s is signed", name)
			}
		}
		wrong := o.request("wrong").Status.Conditions
		if len(wrong) != 2 || wrong[1].Type != "Failed" || wrong[1].Reason != "SignerValidationFailure" || !strings.HasPrefix(wrong[1].Message, "usages did not match") {
			o.Errorf("conditions of a request that cannot be signed: %+v", wrong)
		}
		if n := o.signed.Load(); n != 1 {
			o.Errorf("%d signatures", n)
		}
	})
}

func TestNodesThatMayHaveACertificateGetIt(t *testing.T) {
	asNode := usages{"client auth", "digital signature"}
	another := func(r *csr) { r.Spec.Username = "bootstrapper" }
	late := false
	may := func(s authorizationv1.SubjectAccessReviewSpec) bool {
		a := s.ResourceAttributes
		if a.Verb != "create" || a.Group != "certificates.k8s.io" || a.Resource != "certificatesigningrequests" || a.Version != "*" {
			t.Errorf("asked for %+v", a)
		}
		return s.User == "system:node:a" && a.Subresource == "selfnodeclient" || s.User == "bootstrapper" && a.Subresource == "nodeclient" ||
			s.User == "later" && late && s.Extra["k"][0] == "v"
	}
	opens(t, func() []runtime.Object {
		return []runtime.Object{
			requestOf(t, "self", kubelet, node(nil), asNode...),
			with(requestOf(t, "another", kubelet, node(nil), asNode...), another),
			with(requestOf(t, "nobody", kubelet, node(nil), asNode...), func(r *csr) { r.Spec.Username = "system:node:b" }),
			with(requestOf(t, "later", kubelet, node(nil), asNode...), func(r *csr) { r.Spec.Username, r.Spec.Extra = "later", map[string]extra{"k": {"v"}} }),
			with(requestOf(t, "names", kubelet, node(func(r *x509.CertificateRequest) { r.DNSNames = []string{"a"} }), asNode...), another),
			with(requestOf(t, "client", clients, node(nil), asNode...), another),
			requestOf(t, "serving", serving, node(func(r *x509.CertificateRequest) { r.DNSNames = []string{"a"} }), "server auth", "digital signature"),
		}
	}, may, func(o *office) {
		for _, name := range []string{"self", "another"} {
			r := o.request(name)
			if len(r.Status.Conditions) != 1 || r.Status.Conditions[0].Reason != "AutoApproved" || len(r.Status.Certificate) == 0 {
				o.Errorf("%s: %+v", name, r.Status)
			}
		}
		for _, name := range []string{"nobody", "later", "names", "client", "serving"} {
			if r := o.request(name); stateOf(r) != pending {
				o.Errorf("%s: %+v", name, r.Status)
			}
		}
		late = true
		time.Sleep(10 * time.Second)
		if r := o.request("later"); len(r.Status.Certificate) == 0 {
			o.Errorf("nobody has asked again: %+v", r.Status)
		}
	})
}

func TestRequestsGoWhenNobodyNeedsThem(t *testing.T) {
	asClient := usages{"client auth"}
	brief := func(r *csr) { r.Spec.ExpirationSeconds = new(int32(600)) }
	opens(t, func() []runtime.Object {
		return []runtime.Object{
			requestOf(t, "pending", clients, node(nil), asClient...),
			with(requestOf(t, "denied", clients, node(nil), asClient...), has("Denied")),
			with(requestOf(t, "failed", clients, node(nil), asClient...), has("Failed")),
			with(requestOf(t, "issued", clients, node(nil), asClient...), has("Approved")),
			with(requestOf(t, "ended", clients, node(nil), asClient...), has("Approved"), brief),
			with(requestOf(t, "waits", "example.com/a", node(nil), asClient...), has("Approved")),
		}
	}, nobody, func(o *office) {
		o.left("denied", "ended", "failed", "issued", "pending", "waits")
		time.Sleep(11 * time.Minute)
		o.left("denied", "failed", "issued", "pending", "waits")
		time.Sleep(45 * time.Minute)
		o.left("denied", "failed", "issued", "pending", "waits")
		time.Sleep(5 * time.Minute)
		o.left("pending", "waits")
		time.Sleep(22*time.Hour + 50*time.Minute)
		o.left("pending", "waits")
		time.Sleep(10 * time.Minute)
		o.left("waits")
	})
}
