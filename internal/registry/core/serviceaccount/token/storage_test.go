package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// objects is a store of one kind, by namespace/name.
type objects struct {
	resource string
	all      map[string]runtime.Object
	err      error
}

func (o *objects) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if o.err != nil {
		return nil, o.err
	}
	if obj, ok := o.all[request.NamespaceValue(ctx)+"/"+name]; ok {
		return obj, nil
	}
	resource := o.resource
	if info, ok := request.RequestInfoFrom(ctx); ok {
		resource = info.Resource // as the store does
	}
	return nil, apierrors.NewNotFound(corev1.Resource(resource), name)
}

// source is an issuer.KeySource with one key.
type source struct{ s boundtoken.Signer }

func (k source) Signer(context.Context, time.Time) (boundtoken.Signer, error) { return k.s, nil }
func (k source) Keys(context.Context) (*jwks.Set, error)                      { return jwks.New(k.s.Key()), nil }
func (k source) NextChange() (time.Time, bool)                                { return time.Time{}, false }

// system is the storage and what it works on.
type system struct {
	rest.NamedCreater
	now      time.Time
	nodes    *objects
	issuer   *issuer.Set
	keys     source
	warnings []string
	audit    map[string]string
}

// AddWarning implements warning.Recorder.
func (s *system) AddWarning(_, text string) { s.warnings = append(s.warnings, text) }

func meta(ns, name, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(uid)}
}

func newSystem(t *testing.T, change ...func(*token.Config)) *system {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := boundtoken.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	pod := func(name, account, node string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: meta("ns", name, name+"-uid"), Spec: corev1.PodSpec{ServiceAccountName: account, NodeName: node}}
	}
	s := &system{
		now:   time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC),
		keys:  source{signer},
		nodes: &objects{resource: "nodes", all: map[string]runtime.Object{"/n1": &corev1.Node{ObjectMeta: meta("", "n1", "n1-uid")}}},
	}
	s.issuer, err = issuer.New(issuer.Config{APIAudiences: []string{"api", "api2"}, ExternalAddress: "h", Keys: s.keys, Clock: clock.APIOf(clocktesting.NewFakeClock(s.now))})
	if err != nil {
		t.Fatal(err)
	}
	c := token.Config{
		ServiceAccounts: &objects{resource: "serviceaccounts", all: map[string]runtime.Object{"ns/sa": &corev1.ServiceAccount{ObjectMeta: meta("ns", "sa", "sa-uid")}}},
		Pods: &objects{resource: "pods", all: map[string]runtime.Object{
			"ns/p": pod("p", "sa", "n1"), "ns/unscheduled": pod("unscheduled", "sa", ""),
			"ns/lost": pod("lost", "sa", "gone"), "ns/other": pod("other", "default", "n1"),
		}},
		Secrets:          &objects{resource: "secrets", all: map[string]runtime.Object{"ns/s": &corev1.Secret{ObjectMeta: meta("ns", "s", "s-uid")}}},
		Nodes:            s.nodes,
		Issuer:           s.issuer,
		Clock:            clock.APIOf(clocktesting.NewFakeClock(s.now)),
		ExtendExpiration: true,
	}
	for _, f := range change {
		f(&c)
	}
	m, err := token.NewStorage(c)
	if err != nil {
		t.Fatal(err)
	}
	s.NamedCreater = m["serviceaccounts/token"].(rest.NamedCreater)
	return s
}

// request asks for a token of the account and returns the response and, verified,
// its claims.
func (s *system) request(t *testing.T, account string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, boundtoken.Claims, error) {
	t.Helper()
	s.warnings = nil
	ctx := audit.WithAuditContext(warning.WithWarningRecorder(request.WithNamespace(context.Background(), "ns"), s))
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{Verb: "create", APIVersion: "v1", Namespace: "ns", Resource: "serviceaccounts", Subresource: "token", Name: account})
	obj, err := s.Create(ctx, account, req, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	s.audit = audit.AuditContextFrom(ctx).GetEventAnnotations()
	if err != nil {
		return nil, boundtoken.Claims{}, err
	}
	out := obj.(*authenticationv1.TokenRequest)
	set, _ := s.keys.Keys(ctx)
	v, err := boundtoken.Verify(t.Context(), out.Status.Token, boundtoken.Expected{
		Issuers: s.issuer.Accepted(), Audiences: out.Spec.Audiences, Keys: set, Time: s.now})
	if err != nil {
		t.Fatalf("the token that was issued: %v", err)
	}
	return out, v.Claims, nil
}

func seconds(n int64) *int64 { return &n }

func bound(apiVersion, kind, name, uid string) *authenticationv1.BoundObjectReference {
	return &authenticationv1.BoundObjectReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID(uid)}
}

func TestEmptyRequest(t *testing.T) {
	s := newSystem(t)
	out, c, err := s.request(t, "sa", &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: "mine"}})
	if err != nil {
		t.Fatal(err)
	}
	if out.Name != "sa" || out.Namespace != "ns" || out.UID != "sa-uid" || !out.CreationTimestamp.Time.Equal(s.now) {
		t.Errorf("metadata %+v", out.ObjectMeta)
	}
	if *out.Spec.ExpirationSeconds != 3600 || !slices.Equal(out.Spec.Audiences, []string{"api", "api2"}) || out.Spec.BoundObjectRef != nil {
		t.Errorf("spec %+v", out.Spec)
	}
	if !out.Status.ExpirationTimestamp.Time.Equal(s.now.Add(time.Hour)) {
		t.Errorf("expires %v", out.Status.ExpirationTimestamp)
	}
	if c.Issuer != issuer.Default || c.Subject != "system:serviceaccount:ns:sa" || !slices.Equal(c.Audience, []string{"api", "api2"}) {
		t.Errorf("claims %+v", c)
	}
	if now := s.now.Unix(); int64(c.IssuedAt) != now || int64(c.NotBefore) != now || int64(c.Expiry) != now+3600 {
		t.Errorf("times %d %d %d, now %d", c.IssuedAt, c.NotBefore, c.Expiry, now)
	}
	k := c.Kubernetes
	if k.Namespace != "ns" || k.ServiceAccount != (boundtoken.Ref{Name: "sa", UID: "sa-uid"}) || k.Pod != nil || k.Secret != nil || k.Node != nil || k.WarnAfter != 0 {
		t.Errorf("bound to %+v", k)
	}
	if !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(c.ID) || s.audit["authentication.kubernetes.io/issued-credential-id"] != "JTI="+c.ID {
		t.Errorf("jti %s, audit %v", c.ID, s.audit)
	}
}

func TestBinding(t *testing.T) {
	ref := func(name string) *boundtoken.Ref { return &boundtoken.Ref{Name: name, UID: name + "-uid"} }
	for name, tc := range map[string]struct {
		to   *authenticationv1.BoundObjectReference
		want boundtoken.Bound
	}{
		"pod":             {bound("v1", "Pod", "p", "p-uid"), boundtoken.Bound{Pod: ref("p"), Node: ref("n1")}},
		"pod, no uid":     {bound("v1", "Pod", "p", ""), boundtoken.Bound{Pod: ref("p"), Node: ref("n1")}},
		"pod, no version": {bound("", "Pod", "p", ""), boundtoken.Bound{Pod: ref("p"), Node: ref("n1")}},
		"unscheduled pod": {bound("v1", "Pod", "unscheduled", ""), boundtoken.Bound{Pod: ref("unscheduled")}},
		"pod, node lost":  {bound("v1", "Pod", "lost", ""), boundtoken.Bound{Pod: ref("lost"), Node: &boundtoken.Ref{Name: "gone"}}},
		"secret":          {bound("v1", "Secret", "s", "s-uid"), boundtoken.Bound{Secret: ref("s")}},
		"node":            {bound("v1", "Node", "n1", "n1-uid"), boundtoken.Bound{Node: ref("n1")}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c, err := newSystem(t).request(t, "sa", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: tc.to}})
			if err != nil {
				t.Fatal(err)
			}
			same := func(a, b *boundtoken.Ref) bool { return a == b || a != nil && b != nil && *a == *b }
			if k := c.Kubernetes; !same(k.Pod, tc.want.Pod) || !same(k.Secret, tc.want.Secret) || !same(k.Node, tc.want.Node) {
				t.Errorf("bound to pod %v, secret %v, node %v", k.Pod, k.Secret, k.Node)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	spec := func(s authenticationv1.TokenRequestSpec) *authenticationv1.TokenRequest {
		return &authenticationv1.TokenRequest{Spec: s}
	}
	life := func(n int64) *authenticationv1.TokenRequest {
		return spec(authenticationv1.TokenRequestSpec{ExpirationSeconds: seconds(n)})
	}
	to := func(b *authenticationv1.BoundObjectReference) *authenticationv1.TokenRequest {
		return spec(authenticationv1.TokenRequestSpec{BoundObjectRef: b})
	}
	for name, tc := range map[string]struct {
		account string
		req     *authenticationv1.TokenRequest
		code    int32
		text    string
	}{
		"no such account":   {"none", &authenticationv1.TokenRequest{}, 404, `serviceaccounts "none" not found`},
		"another name":      {"sa", &authenticationv1.TokenRequest{ObjectMeta: meta("", "x", "")}, 422, `TokenRequest.authentication.k8s.io "sa" is invalid: metadata.name: Invalid value: "x": must match the service account name if specified`},
		"another namespace": {"sa", &authenticationv1.TokenRequest{ObjectMeta: meta("x", "", "")}, 422, `metadata.namespace: Invalid value: "x": must match the service account namespace if specified`},
		"another uid":       {"sa", &authenticationv1.TokenRequest{ObjectMeta: meta("", "", "x")}, 409, "the UID in the token request (x) does not match the UID of the service account (sa-uid)"},
		"short":             {"sa", life(599), 422, "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"},
		"zero":              {"sa", life(0), 422, "may not specify a duration less than 10 minutes"},
		"negative":          {"sa", life(-7200), 422, "may not specify a duration less than 10 minutes"},
		"long":              {"sa", life(1<<32 + 1), 422, "spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds"},
		"attestations":      {"sa", spec(authenticationv1.TokenRequestSpec{Attestations: map[string]authenticationv1.AttestationValue{"a": {"b"}}}), 422, "spec.attestations: Invalid value"},
		"too many":          {"sa", spec(authenticationv1.TokenRequestSpec{Audiences: []string{strings.Repeat("a", boundtoken.MaxSize)}}), 422, "spec.audiences: Too long"},
		"other kind":        {"sa", to(bound("apps/v1", "Deployment", "d", "")), 400, "cannot bind token to object of type apps/v1, Kind=Deployment"},
		"pod of a group":    {"sa", to(bound("example.com/v1", "Pod", "p", "")), 400, "cannot bind token to object of type example.com/v1, Kind=Pod"},
		"empty reference":   {"sa", to(bound("", "", "", "")), 400, "cannot bind token to object of type"},
		"no such pod":       {"sa", to(bound("v1", "Pod", "x", "")), 404, `pods "x" not found`},
		"no such secret":    {"sa", to(bound("v1", "Secret", "x", "")), 404, `secrets "x" not found`},
		"no such node":      {"sa", to(bound("v1", "Node", "x", "")), 404, `nodes "x" not found`},
		"pod of another":    {"sa", to(bound("v1", "Pod", "other", "")), 400, `cannot bind token for serviceaccount "sa" to pod running with different serviceaccount name.`},
		"pod created again": {"sa", to(bound("v1", "Pod", "p", "old")), 409, `Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (old) does not match the UID in record. The object might have been deleted and then recreated`},
		"secret again":      {"sa", to(bound("v1", "Secret", "s", "old")), 409, "does not match the UID in record"},
		"node again":        {"sa", to(bound("v1", "Node", "n1", "old")), 409, "does not match the UID in record"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := newSystem(t).request(t, tc.account, tc.req)
			status, ok := err.(apierrors.APIStatus)
			if !ok || status.Status().Code != tc.code || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v, want %d %s", err, tc.code, tc.text)
			}
		})
	}
}

func TestBoundsOfLife(t *testing.T) {
	for _, n := range []int64{600, 7200, 1 << 32} {
		out, c, err := newSystem(t).request(t, "sa", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: seconds(n)}})
		if err != nil {
			t.Fatal(err)
		}
		if int64(c.Expiry-c.IssuedAt) != n || *out.Spec.ExpirationSeconds != n {
			t.Errorf("asked for %d, lives %d", n, c.Expiry-c.IssuedAt)
		}
	}
}

func TestMaximum(t *testing.T) {
	s := newSystem(t, func(c *token.Config) { c.MaxExpiration = time.Hour })
	out, c, err := s.request(t, "sa", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: seconds(7200)}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Expiry-c.IssuedAt != 3600 || *out.Spec.ExpirationSeconds != 3600 || !out.Status.ExpirationTimestamp.Time.Equal(s.now.Add(time.Hour)) {
		t.Errorf("lives %d s, spec %d, until %v", c.Expiry-c.IssuedAt, *out.Spec.ExpirationSeconds, out.Status.ExpirationTimestamp)
	}
	if want := "requested expiration of 7200 seconds shortened to 3600 seconds"; !slices.Equal(s.warnings, []string{want}) {
		t.Errorf("warnings %q", s.warnings)
	}
	if _, _, err := s.request(t, "sa", &authenticationv1.TokenRequest{}); err != nil || len(s.warnings) > 0 {
		t.Errorf("within the maximum: %v, warnings %q", err, s.warnings)
	}
	for d, ok := range map[time.Duration]bool{0: true, time.Hour: true, 1 << 32 * time.Second: true, time.Hour - 1: false, -time.Hour: false, (1<<32 + 1) * time.Second: false} {
		if err := token.ValidateMaxExpiration(d); (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
	}
}

func TestMaximumThatPreventsExtension(t *testing.T) {
	for d, want := range map[time.Duration]bool{0: false, time.Hour: true, 3606 * time.Second: true, 3607 * time.Second: false, 2 * time.Hour: false} {
		if token.PreventsExtension(d) != want {
			t.Errorf("%v: not %v", d, want)
		}
	}
}

func TestExtendedLife(t *testing.T) {
	const year = 365 * 24 * 3600
	pod := bound("v1", "Pod", "p", "p-uid")
	for name, tc := range map[string]struct {
		change    func(*token.Config)
		spec      authenticationv1.TokenRequestSpec
		life      int64
		warnAfter int64
	}{
		"injected":         {nil, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3607)}, year, 3607},
		"some audiences":   {nil, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3607), Audiences: []string{"api2"}}, year, 3607},
		"another audience": {nil, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3607), Audiences: []string{"api", "vault"}}, 3607, 0},
		"another life":     {nil, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3606)}, 3606, 0},
		"not a pod":        {nil, authenticationv1.TokenRequestSpec{ExpirationSeconds: seconds(3607)}, 3607, 0},
		"a secret":         {nil, authenticationv1.TokenRequestSpec{BoundObjectRef: bound("v1", "Secret", "s", ""), ExpirationSeconds: seconds(3607)}, 3607, 0},
		"switched off":     {func(c *token.Config) { c.ExtendExpiration = false }, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3607)}, 3607, 0},
		"maximum of 2 h":   {func(c *token.Config) { c.MaxExpiration = 2 * time.Hour }, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3607)}, year, 3607},
		"maximum of 1 h":   {func(c *token.Config) { c.MaxExpiration = time.Hour }, authenticationv1.TokenRequestSpec{BoundObjectRef: pod, ExpirationSeconds: seconds(3607)}, 3600, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*token.Config)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			s := newSystem(t, change...)
			out, c, err := s.request(t, "sa", &authenticationv1.TokenRequest{Spec: tc.spec})
			if err != nil {
				t.Fatal(err)
			}
			if int64(c.Expiry-c.IssuedAt) != tc.life {
				t.Errorf("lives %d s, want %d", c.Expiry-c.IssuedAt, tc.life)
			}
			if w := c.Kubernetes.WarnAfter; tc.warnAfter == 0 && w != 0 || tc.warnAfter != 0 && int64(w-c.IssuedAt) != tc.warnAfter {
				t.Errorf("warnafter %d, issued %d", w, c.IssuedAt)
			}
			told := tc.life
			if tc.warnAfter != 0 {
				told = tc.warnAfter
			}
			if !out.Status.ExpirationTimestamp.Time.Equal(s.now.Add(time.Duration(told) * time.Second)) {
				t.Errorf("says that it expires %v", out.Status.ExpirationTimestamp)
			}
		})
	}
}

func TestFailuresOfTheStoreAreNotTheClients(t *testing.T) {
	s := newSystem(t)
	s.nodes.err = errors.New("no leader")
	_, _, err := s.request(t, "sa", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: bound("v1", "Pod", "p", "")}})
	if !apierrors.IsInternalError(err) {
		t.Errorf("%v", err)
	}
}

func TestAdmissionMayRefuse(t *testing.T) {
	s := newSystem(t)
	refusal := apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "sa", errors.New("not your node"))
	_, err := s.Create(request.WithNamespace(context.Background(), "ns"), "sa", &authenticationv1.TokenRequest{},
		func(_ context.Context, obj runtime.Object) error {
			if req := obj.(*authenticationv1.TokenRequest); len(req.Spec.Audiences) != 2 || *req.Spec.ExpirationSeconds != 3600 {
				t.Errorf("admission sees %+v", req.Spec)
			}
			return refusal
		}, &metav1.CreateOptions{})
	if !errors.Is(err, error(refusal)) {
		t.Errorf("%v", err)
	}
}
