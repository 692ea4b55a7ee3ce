package sts_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/internal/aws/sts"
	"laterna.dev/laterna/internal/aws/sts/podagent"
)

const podAudience = "pods.eks.amazonaws.com"

// cluster is one whose issuer is host.
func (w *world) cluster() *sts.Cluster {
	return &sts.Cluster{
		Issues: func(name string) bool { return name == host },
		Bearer: func(_ context.Context, token, audience string) (sts.Bearer, error) {
			who, ok := w.bearers[token]
			if !ok || audience != podAudience {
				return sts.Bearer{}, errors.New("the pod is gone")
			}
			return who, nil
		},
		Associations: func() podidentity.Identities { return w.identities }, Region: "eu-central-1",
	}
}

// podToken is a token of the pod web-1 of service account ns/app.
func (i *issuer) podToken(change object) string {
	claims := object{"aud": []string{podAudience}}
	for k, v := range change {
		claims[k] = v
	}
	token := i.token(claims)
	i.w.bearers[token] = sts.Bearer{Namespace: "ns", ServiceAccount: "app", Pod: "web-abcdefghijkl-1", PodUID: "b3c1"}
	return token
}

// forPods are a statement that trusts the service, with conditions as JSON.
func forPods(actions, conditions string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":` + actions + `,"Condition":` + conditions + `}]}`
}

const bothActions = `["sts:AssumeRole","sts:TagSession"]`

// podWorld has a role for the pods of ns/app.
func podWorld(t *testing.T, trust string) (*world, *issuer) {
	w := newWorld(t)
	i := w.issuer(host)
	w.role(iam.Role{Name: "my-role", TrustPolicy: trust})
	w.identities["ns/app"] = podidentity.Identity{RoleARN: roleARN}
	return w, i
}

// podAnswer is what a pod is told.
type podAnswer struct {
	status int
	text   string

	AccessKeyId, SecretAccessKey, Token, AccountId string
	Expiration                                     time.Time
}

// pod asks as a pod does.
func (w *world) pod(token string, change ...func(*http.Request)) podAnswer {
	w.t.Helper()
	agent := podagent.New(podagent.Config{Assume: w.sts.AssumeRoleForPodIdentity, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil))})
	r := httptest.NewRequest(http.MethodGet, "http://169.254.170.23/v1/credentials", nil)
	r.Header.Set("Authorization", token)
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	agent.ServeHTTP(rec, r)
	a := podAnswer{status: rec.Code, text: regexp.MustCompile(`^\[[0-9a-f-]{36}\]`).ReplaceAllString(strings.TrimSuffix(rec.Body.String(), "\n"), "[id]")}
	if rec.Code == http.StatusOK {
		must(w.t, json.Unmarshal(rec.Body.Bytes(), &a))
		if kind := rec.Header().Get("Content-Type"); kind != "application/json" {
			w.t.Errorf("answered as %s", kind)
		}
	}
	return a
}

func (a podAnswer) want(t *testing.T, status int, text string) {
	t.Helper()
	if a.status != status || a.text != text {
		t.Errorf("answered %d %s\nwant %d %s", a.status, a.text, status, text)
	}
}

func TestPodBecomesTheRoleOfItsAssociation(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"ns","aws:RequestTag/kubernetes-service-account":"app","aws:SourceAccount":"`+account+`"}}`))
	a := w.pod(i.podToken(nil))
	if a.status != http.StatusOK || a.AccountId != account || !a.Expiration.Equal(w.clock.Now().Truncate(time.Second).Add(6*time.Hour)) {
		t.Fatalf("answered %+v", a)
	}
	c := sigv4test.Credentials{ID: a.AccessKeyId, Secret: a.SecretAccessKey, Token: a.Token, Region: "us-east-1", Service: "sts"}
	who := w.call("GetCallerIdentity", nil, &c).Caller.Arn
	if !regexp.MustCompile(`^arn:aws:sts::` + account + `:assumed-role/my-role/eks-laterna-web-abcdef-[0-9a-f-]{36}$`).MatchString(who) {
		t.Errorf("the pod is %s", who)
	}
}

// TestTagsOfAPodGoWithItsSession has another role trust by them.
func TestTagsOfAPodGoWithItsSession(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{}`))
	w.role(iam.Role{Name: "next", TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + roleARN + `"},"Action":["sts:AssumeRole","sts:TagSession"],
		"Condition":{"StringEquals":{"aws:PrincipalTag/eks-cluster-name":"laterna","aws:PrincipalTag/kubernetes-pod-uid":"b3c1","aws:PrincipalTag/kubernetes-pod-name":"web-abcdefghijkl-1",
		"aws:PrincipalTag/eks-cluster-arn":"arn:aws:eks:eu-central-1:` + account + `:cluster/laterna"}}}]}`})
	next := map[string][]string{"RoleArn": {"arn:aws:iam::" + account + ":role/next"}, "RoleSessionName": {"session"}}
	for disable, status := range map[bool]int{false: 200, true: 403} {
		w.identities["ns/app"] = podidentity.Identity{RoleARN: roleARN, DisableSessionTags: disable}
		a := w.pod(i.podToken(nil))
		c := sigv4test.Credentials{ID: a.AccessKeyId, Secret: a.SecretAccessKey, Token: a.Token, Region: "us-east-1", Service: "sts"}
		if got := w.call("AssumeRole", next, &c); got.status != status {
			t.Errorf("without tags %v: answered %d %s", disable, got.status, got.body)
		}
	}
}

const (
	podDenied  = "[id]: (AccessDeniedException): Unauthorized Exception! EKS does not have permissions to assume the associated role., fault: client"
	podInvalid = "[id]: (InvalidTokenException): The token included in the request is invalid., fault: client"
	podNone    = "[id]: (ResourceNotFoundException): No pod identity association was found for service account ns/app., fault: client"
)

func TestTrustOfARoleIsAskedForPods(t *testing.T) {
	for name, trust := range map[string]string{
		"no tags":           forPods(`"sts:AssumeRole"`, `{}`),
		"another namespace": forPods(bothActions, `{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"other"}}`),
		"another service":   strings.Replace(forPods(bothActions, `{}`), "pods.eks", "ec2", 1),
		"web identity":      trusting(providerARN(host), `{}`),
		"an account":        strings.Replace(forPods(bothActions, `{}`), `"Service":"pods.eks.amazonaws.com"`, `"AWS":"*"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			w, i := podWorld(t, trust)
			w.pod(i.podToken(nil)).want(t, 400, podDenied)
		})
	}
	w, i := podWorld(t, forPods(`"sts:AssumeRole"`, `{}`))
	w.identities["ns/app"] = podidentity.Identity{RoleARN: roleARN, DisableSessionTags: true}
	if a := w.pod(i.podToken(nil)); a.status != http.StatusOK {
		t.Errorf("without tags: answered %+v", a)
	}
}

func TestAssociationsThatAreNone(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{}`))
	for _, identity := range []podidentity.Identity{{}, {RoleARN: "my-role"}, {RoleARN: roleARN, TargetRoleARN: roleARN}, {RoleARN: roleARN, Policy: "{}"}} {
		w.identities["ns/app"] = identity
		w.pod(i.podToken(nil)).want(t, 404, podNone)
	}
	w.identities["ns/app"] = podidentity.Identity{RoleARN: roleARN + "-none"}
	w.pod(i.podToken(nil)).want(t, 400, podDenied)
	delete(w.identities, "ns/app")
	w.identities["other/app"] = podidentity.Identity{RoleARN: roleARN}
	w.pod(i.podToken(nil)).want(t, 404, podNone)
}

func TestTokensOfPodsAreChecked(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{}`))
	foreign := w.issuer("foreign.example")
	now := w.clock.Now()
	unix := now.Unix()
	good := i.podToken(object{"jti": "0"})
	forged := good[:len(good)-8] + "AAAAAAAA"
	w.bearers[forged] = sts.Bearer{Namespace: "ns", ServiceAccount: "app", Pod: "p"}
	ofNoPod, gone := i.podToken(object{"jti": "1"}), i.podToken(object{"jti": "2"})
	w.bearers[ofNoPod] = sts.Bearer{Namespace: "ns", ServiceAccount: "app"}
	delete(w.bearers, gone)
	for name, token := range map[string]string{
		"for STS": i.podToken(object{"aud": []string{audience}}), "of another issuer": foreign.podToken(nil), "forged": forged, "of no pod": ofNoPod, "of a pod that is gone": gone,
	} {
		t.Run(name, func(t *testing.T) { w.pod(token).want(t, 400, podInvalid) })
	}
	// STS allows five minutes, and EKS is not known to.
	ended := i.podToken(object{"iat": unix - 3600, "exp": unix - 60})
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	w.pod(ended).want(t, 400, "[id]: (ExpiredTokenException): The token included in the request is expired: current date/time "+at(now)+" must be before the expiration date/time "+at(time.Unix(unix-60, 0))+"., fault: client")
	w.pod("").want(t, 400, "Service account token cannot be empty")
	for _, token := range []string{"Bearer x", "a.b", strings.Repeat("a", 20000) + ".b.c"} {
		w.pod(token).want(t, 400, "Service account token cannot be parsed: token is malformed")
	}
	w.pod("a.b.c").want(t, 400, podInvalid)
}

// TestRequestsThatAreNotAPods has what a page in a browser, or a proxy, could be made to ask.
func TestRequestsThatAreNotAPods(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{}`))
	token := i.podToken(nil)
	w.pod(token, func(r *http.Request) { r.Host = "rebound.example:80" }).want(t, 403, "Access Denied. Called agent through invalid address, please use either [169.254.170.23] address not rebound.example")
	w.pod(token, func(r *http.Request) { r.Method = http.MethodPost }).want(t, 405, "method not allowed")
	w.pod(token, func(r *http.Request) { r.URL.Path = "/" }).want(t, 404, "404 page not found")
	if a := w.pod(token, func(r *http.Request) { r.Host = "169.254.170.23:80" }); a.status != http.StatusOK {
		t.Errorf("with a port: answered %+v", a)
	}
}

func TestFaultsOfPodIdentity(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{}`))
	token := i.podToken(nil)
	w.faults.Set(sts.Fault{Throttled: true})
	w.pod(token).want(t, 429, "[id]: (ThrottlingException): Rate exceeded, fault: client")
	w.faults.Set(sts.Fault{SessionLife: metav1.Duration{Duration: time.Minute}})
	if a := w.pod(token); a.status != http.StatusOK || !a.Expiration.Equal(w.clock.Now().Truncate(time.Second).Add(time.Minute)) {
		t.Errorf("answered %+v", a)
	}
}

// TestAgentKeepsWhatItIsAskedToItself looks for tokens and secrets in what is explained.
func TestAgentKeepsWhatItIsAskedToItself(t *testing.T) {
	w, i := podWorld(t, forPods(bothActions, `{}`))
	token := i.podToken(nil)
	a := w.pod(token)
	kept := string(w.journal.Last(1)[0])
	for _, secret := range []string{token, a.SecretAccessKey, a.Token} {
		if strings.Contains(kept, secret) {
			t.Errorf("the journal has %s", kept)
		}
	}
	for _, want := range []string{`"service":"eks-auth"`, `"name":"association","verdict":"yes"`, `"name":"bearer","verdict":"yes"`, roleARN, `"region":"eu-central-1"`} {
		if !strings.Contains(kept, want) {
			t.Errorf("the journal has %s, want %s", kept, want)
		}
	}
}
