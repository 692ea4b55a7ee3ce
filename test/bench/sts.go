package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/test/system"
)

// What STS is asked about.
const (
	stsAudience = "sts.amazonaws.com"
	stsAccount  = "111122223333"
	stsIssuer   = "kubernetes.default.svc"
	stsVersion  = "2011-06-15"
)

// measureSTS measures STS with warm keys, beside a bare check of a signature of RS256.
func measureSTS(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	all, err := clients(s, loads[0])
	if err != nil {
		return nil, err
	}
	if err := prepareSTS(ctx, all[0]); err != nil {
		return nil, err
	}
	request, err := all[0].CoreV1().ServiceAccounts(namespace).CreateToken(ctx, tokenAccount, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{stsAudience}}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	assume := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {stsVersion}, "RoleArn": {"arn:aws:iam::" + stsAccount + ":role/bench"}, "RoleSessionName": {"bench"}, "WebIdentityToken": {request.Status.Token}}
	raw, err := askSTS(ctx, all[0], assume, nil)
	if err != nil {
		return nil, err
	}
	signed, err := signedIdentity(s, raw)
	if err != nil {
		return nil, err
	}
	bare, err := bareCheck()
	if err != nil {
		return nil, err
	}
	figures := []figure{bare}
	for _, step := range []struct {
		what   string
		form   url.Values
		header http.Header
	}{
		{"AssumeRoleWithWebIdentity, warm keys, 8 clients", assume, nil},
		{"GetCallerIdentity by a session, 8 clients", url.Values{"Action": {"GetCallerIdentity"}, "Version": {stsVersion}}, signed},
	} {
		l, err := load(ctx, s, all, func(ctx context.Context, client kubernetes.Interface, _, _ int) error {
			_, err := askSTS(ctx, client, step.form, step.header)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		figures = append(figures, l.figure(step.what, 0))
	}
	return figures, b.remove(s)
}

// prepareSTS registers the system's issuer and makes a role.
func prepareSTS(ctx context.Context, client kubernetes.Interface) error {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + stsAccount + `:oidc-provider/` + stsIssuer + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + stsIssuer + `:sub":"system:serviceaccount:` + namespace + `:` + tokenAccount + `","` + stsIssuer + `:aud":"` + stsAudience + `"}}}]}`
	for _, o := range []struct {
		kind, resource, name string
		spec                 map[string]any
	}{
		{"OpenIDConnectProvider", "openidconnectproviders", stsIssuer, map[string]any{"clientIDs": []string{stsAudience}}},
		{"Role", "roles", "bench", map[string]any{"assumeRolePolicyDocument": trust}},
	} {
		body, err := json.Marshal(map[string]any{"apiVersion": "iam.laterna.dev/v1alpha1", "kind": o.kind, "metadata": map[string]any{"name": stsAccount + ":" + o.name}, "spec": o.spec})
		if err != nil {
			return err
		}
		if err := core(client).Post().AbsPath("/apis/iam.laterna.dev/v1alpha1/"+o.resource).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error(); err != nil {
			return err
		}
	}
	return nil
}

func core(client kubernetes.Interface) rest.Interface { return client.Discovery().RESTClient() }

// askSTS makes a call, with the header of a signature where there is one.
func askSTS(ctx context.Context, client kubernetes.Interface, form url.Values, header http.Header) ([]byte, error) {
	r := core(client).Post().AbsPath("/aws/").SetHeader("Content-Type", "application/x-www-form-urlencoded").Body([]byte(form.Encode()))
	for name, values := range header {
		r.SetHeader(name, values...)
	}
	return r.DoRaw(ctx)
}

// signedIdentity signs a GetCallerIdentity with the credentials in an answer, once for all:
// a signature counts for a quarter of an hour.
func signedIdentity(s *system.System, answer []byte) (http.Header, error) {
	var found struct {
		ID     string `xml:"AssumeRoleWithWebIdentityResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
	}
	if err := xml.Unmarshal(answer, &found); err != nil {
		return nil, err
	}
	config, err := s.Config()
	if err != nil {
		return nil, err
	}
	body := url.Values{"Action": {"GetCallerIdentity"}, "Version": {stsVersion}}.Encode()
	r, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(config.Host, "/")+"/aws/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sigv4test.Credentials{ID: found.ID, Secret: found.Secret, Token: found.Token, Region: "us-east-1", Service: "sts"}.Sign(r, body, time.Now())
	r.Header.Del("Content-Type")
	return r.Header, nil
}

// bareCheck is what no STS can do without: one check of a signature.
func bareCheck() (figure, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return figure{}, err
	}
	digest := sha256.Sum256([]byte("a token"))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return figure{}, err
	}
	const n = 5000
	begin := time.Now()
	for range n {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			return figure{}, err
		}
	}
	return figure{What: "baseline: check of an RS256 signature alone (2048 bits)", Value: ms(time.Since(begin)) / n, Unit: "ms", Note: fmt.Sprintf("n=%d", n)}, nil
}
