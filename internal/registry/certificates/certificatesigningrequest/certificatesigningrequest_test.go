package certificatesigningrequest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

type condition = certificatesv1.CertificateSigningRequestCondition

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// asked is a request in PEM, and a certificate.
func asked(t testing.TB, organization string) (req, cert []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: "a", Organization: []string{organization}}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject}
	signed, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE REQUEST", der), encode("CERTIFICATE", signed)
}

func of(t testing.TB, change func(*csr)) *csr {
	t.Helper()
	req, _ := asked(t, "o")
	r := &csr{Spec: certificatesv1.CertificateSigningRequestSpec{Request: req, SignerName: "example.com/a", Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth}}}
	if change != nil {
		change(r)
	}
	return r
}

func set(types ...certificatesv1.RequestConditionType) func(*csr) {
	return func(r *csr) {
		for _, t := range types {
			r.Status.Conditions = append(r.Status.Conditions, condition{Type: t, Status: corev1.ConditionTrue})
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*csr)
		want   string
	}{
		"good":      {nil, "<nil>"},
		"no PEM":    {func(r *csr) { r.Spec.Request = []byte("x") }, "PEM block type must be CERTIFICATE REQUEST"},
		"other PEM": {func(r *csr) { r.Spec.Request = encode("CERTIFICATE", nil) }, "spec.request: Invalid value"},
		"changed": {func(r *csr) {
			b, _ := pem.Decode(r.Spec.Request)
			b.Bytes[len(b.Bytes)-1] ^= 1
			r.Spec.Request = pem.EncodeToMemory(b)
		}, "spec.request: Invalid value"},
		"long":        {func(r *csr) { r.Spec.Request = append(r.Spec.Request, make([]byte, 64<<10)...) }, "spec.request: Too long: may not be more than 65536 bytes"},
		"many usages": {func(r *csr) { r.Spec.Usages = make([]certificatesv1.KeyUsage, 65) }, "spec.usages: Too many: 65: must have at most 64 items"},
		"no usages":   {func(r *csr) { r.Spec.Usages = nil }, "spec.usages: Required value"},
		"usage":       {func(r *csr) { r.Spec.Usages[0] = "x" }, `spec.usages[0]: Unsupported value: "x": supported values: "any", "cert sign"`},
		"same usage":  {func(r *csr) { r.Spec.Usages = append(r.Spec.Usages, r.Spec.Usages[0]) }, "spec.usages[1]: Duplicate value"},
		"signer":      {func(r *csr) { r.Spec.SignerName = "a" }, "must be a fully qualified domain and path of the form 'example.com/signer-name'"},
		"old signer":  {func(r *csr) { r.Spec.SignerName = "kubernetes.io/legacy-unknown" }, "the legacy signerName is not allowed via this API version"},
		"short":       {func(r *csr) { r.Spec.ExpirationSeconds = new(int32(599)) }, "may not specify a duration less than 600 seconds (10 minutes)"},
		"both":        {set("Approved", "Denied"), `status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive`},
		"twice":       {set("Failed", "Failed"), "status.conditions[1].type: Duplicate value"},
		"not true":    {func(r *csr) { r.Status.Conditions = []condition{{Type: "Failed", Status: "False"}} }, `status.conditions[0].status: Unsupported value: "False": supported values: "True"`},
		"no status":   {func(r *csr) { r.Status.Conditions = []condition{{Type: "x"}} }, "status.conditions[0].status: Required value"},
		"no cert":     {func(r *csr) { r.Status.Certificate = []byte("x") }, "must contain at least one CERTIFICATE PEM block"},
		"key":         {func(r *csr) { r.Status.Certificate = encode("PRIVATE KEY", nil) }, `only CERTIFICATE PEM blocks are allowed, found "PRIVATE KEY"`},
	} {
		if got := fmt.Sprint(validate(of(t, tc.change), nil).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestWhoMayChangeWhat(t *testing.T) {
	base := of(t, nil)
	with := func(change func(*csr)) *csr {
		r := base.DeepCopy()
		change(r)
		return r
	}
	_, cert := asked(t, "o")
	issue := func(r *csr) { r.Status.Certificate = cert }
	for name, tc := range map[string]struct {
		now, old *csr
		may      allowed
		want     string
	}{
		"approved":          {with(set("Approved")), base, approval, "<nil>"},
		"signer approves":   {with(set("Approved")), base, certificate, `status.conditions: Forbidden: updates may not add a condition of type "Approved"`},
		"signer fails":      {with(set("Failed")), base, certificate, "<nil>"},
		"approval removed":  {base, with(set("Approved")), approval, `updates may not remove a condition of type "Approved"`},
		"signed":            {with(issue), base, certificate, "<nil>"},
		"approver signs":    {with(issue), base, approval, "status.certificate: Forbidden: updates may not set certificate content"},
		"signed once more":  {with(issue), with(func(r *csr) { r.Status.Certificate = []byte("x") }), certificate, "updates may not modify existing certificate content"},
		"approval modified": {with(set("Approved")), with(func(r *csr) { r.Status.Conditions = []condition{{Type: "Approved", Status: "True", Reason: "a"}} }), certificate, `updates may not modify a condition of type "Approved"`},
	} {
		if got := fmt.Sprint(validateChange(tc.now, tc.old, tc.may).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// may allows one verb for one name of signers.
func may(verb, name string) authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() == verb && a.GetName() == name && a.GetResource() == "signers" && a.GetAPIGroup() == "certificates.k8s.io" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
}

func TestWhoMayApproveAndSign(t *testing.T) {
	ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: "bob", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}})
	for name, tc := range map[string]struct {
		authorizer  authorizer.Authorizer
		subresource string
		change      func(*csr)
		want        string
	}{
		"approver":         {may("approve", "example.com/a"), "approval", set("Approved"), ""},
		"of the domain":    {may("approve", "example.com/*"), "approval", set("Approved"), ""},
		"signer approves":  {may("sign", "example.com/a"), "approval", set("Approved"), `user not permitted to approve requests with signerName "example.com/a"`},
		"signer":           {may("sign", "example.com/a"), "status", set("Failed"), ""},
		"of other signers": {may("sign", "example.com/b"), "status", set("Failed"), `user not permitted to sign requests with signerName "example.com/a"`},
		"nothing changes":  {may("", ""), "status", func(*csr) {}, ""},
		"the object":       {may("", ""), "", set("Approved"), ""},
	} {
		old := of(t, nil)
		now := old.DeepCopy()
		tc.change(now)
		c := Config{Authorizer: tc.authorizer}
		err := c.permit(request.WithRequestInfo(ctx, &request.RequestInfo{Subresource: tc.subresource}), now, old)
		if (err == nil) != (tc.want == "") || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	lies := of(t, func(r *csr) { r.Spec.Username, r.Spec.Groups = "alice", []string{"system:masters"}; set("Approved")(r) })
	own(ctx, lies)
	if s := lies.Spec; s.Username != "bob" || fmt.Sprint(s.Groups) != "[g]" || len(s.Extra) != 1 || lies.Status.Conditions != nil {
		t.Errorf("made by %+v, with %+v", s, lies.Status)
	}
}

func TestNobodyAsksForTheGreatestGroup(t *testing.T) {
	masters, _ := asked(t, "system:masters")
	client := func(r *csr) { r.Spec.SignerName = certificatesv1.KubeAPIServerClientSignerName }
	for name, tc := range map[string]struct {
		change func(*csr)
		want   string
	}{
		"another group":  {client, ""},
		"another signer": {func(r *csr) { r.Spec.Request = masters }, ""},
		"masters":        {func(r *csr) { client(r); r.Spec.Request = masters }, "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"},
		"no request":     {func(r *csr) { client(r); r.Spec.Request = nil }, "failed to parse CSR"},
	} {
		err := restrict(of(t, tc.change))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func TestApprovalsWriteConditionsAlone(t *testing.T) {
	c := Config{Wall: clock.WallOf(clocktesting.NewFakeClock(noon))}
	old := of(t, nil)
	now := of(t, func(r *csr) {
		set("Approved")(r)
		r.Spec.SignerName, r.Status.Certificate = "example.com/b", []byte("x")
	})
	ApprovalRules(c).PrepareUpdate(t.Context(), now, old)
	if now.Spec.SignerName != "example.com/a" || now.Status.Certificate != nil || !now.Status.Conditions[0].LastTransitionTime.Time.Equal(noon) || !now.Status.Conditions[0].LastUpdateTime.Time.Equal(noon) {
		t.Errorf("got %+v, %+v", now.Spec.SignerName, now.Status)
	}
	again := now.DeepCopy()
	again.Status.Conditions[0].LastTransitionTime.Time = time.Time{}
	later := Config{Wall: clock.WallOf(clocktesting.NewFakeClock(noon.Add(time.Hour)))}
	Definition(later).Status.PrepareUpdate(t.Context(), again, now)
	if !again.Status.Conditions[0].LastTransitionTime.Time.Equal(noon) {
		t.Errorf("a condition that is the same is since %v", again.Status.Conditions[0].LastTransitionTime)
	}
}

func TestOnlyRequestsThatNobodyAnswersAreWarnedOf(t *testing.T) {
	warn := Definition(Config{}).Rules.WarnCreate
	for signer, want := range map[string]int{
		certificatesv1.KubeAPIServerClientSignerName: 0, certificatesv1.KubeAPIServerClientKubeletSignerName: 0, certificatesv1.KubeletServingSignerName: 0,
		"kubernetes.io/other": 1, "example.com/a": 1,
	} {
		if got := warn(t.Context(), of(t, func(r *csr) { r.Spec.SignerName = signer })); len(got) != want {
			t.Errorf("%s: %q", signer, got)
		}
	}
}

func TestStatesOfRequests(t *testing.T) {
	for want, change := range map[string]func(*csr){
		"Pending": func(*csr) {}, "Approved": set("Approved"), "Denied": set("Denied"), "Approved,Failed": set("Approved", "Failed"),
		"Approved,Issued": func(r *csr) { set("Approved")(r); r.Status.Certificate = []byte("x") },
	} {
		r := of(t, change)
		r.Spec.ExpirationSeconds = new(int32(3600))
		if row := columns().Row(r); row[5] != want || row[4] != "60m" {
			t.Errorf("row %v, want %s", row, want)
		}
	}
}
