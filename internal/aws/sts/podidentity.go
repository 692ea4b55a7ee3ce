package sts

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
)

const (
	// pods is the service that assumes roles for pods, and the audience of their tokens.
	pods = "pods.eks.amazonaws.com"
	// podsDuration is how long their credentials last, whatever the role says: EKS's agent
	// renews them after three hours.
	podsDuration = 6 * time.Hour
	// clusterName stands for the cluster's where EKS tells one.
	clusterName = "laterna"
)

// Cluster is what STS is told of the cluster whose pods have credentials by EKS Pod Identity.
// Its functions may be called concurrently.
type Cluster struct {
	// Issues tells whether a host is that of an issuer of the cluster.
	Issues func(host string) bool
	// Bearer returns whose a token for an audience is. Another error than the context's
	// says why it does not count, as when the pod is gone.
	Bearer func(ctx context.Context, token, audience string) (Bearer, error)
	// Associations returns which role pods of a service account become.
	Associations func() podidentity.Identities
	// Region is where the cluster would be.
	Region string
}

// Bearer is a pod and its service account. Pod is empty where a token is of no pod.
type Bearer struct{ Namespace, ServiceAccount, Pod, PodUID string }

// PodCredentials are what a pod is given.
type PodCredentials struct {
	ID, Secret, Token, Account string
	// Expiration is in the form of RFC 3339.
	Expiration string
}

// newPods returns what checks tokens of pods. Unlike roles of web identities, these need no
// provider in an account: the cluster's own issuers are those who count.
func newPods(c Config) *webidentity.Checker {
	if c.Cluster == nil {
		return nil
	}
	return webidentity.New(webidentity.Config{
		Providers: ofCluster{c.Cluster}, Network: c.Network, Clock: c.Clock,
		Faults: func() webidentity.Faults { return c.Faults.issuers() },
	})
}

// ofCluster are the issuers of a cluster, in the terms of providers.
type ofCluster struct{ *Cluster }

// Provider implements webidentity.Providers.
func (c ofCluster) Provider(_ context.Context, account, issuer string) (iam.Provider, error) {
	host, _, _ := strings.Cut(issuer, "/")
	if !c.Issues(query.WithoutPort(host)) {
		return iam.Provider{}, iam.ErrNotFound
	}
	return iam.Provider{Account: account, URL: issuer, ClientIDs: []string{pods}}, nil
}

// Providers implements webidentity.Providers.
func (c ofCluster) Providers(context.Context, string) ([]iam.Provider, error) { return nil, nil }

// newPodService is the API of EKS that its agents ask, as far as explanations tell of it.
func newPodService(c Config) *query.Service {
	service := &query.Service{Name: "eks-auth", Before: func(context.Context, *query.Call) error {
		if c.Faults.Get().Throttled {
			return query.Refuse(http.StatusTooManyRequests, "ThrottlingException", "Rate exceeded")
		}
		return nil
	}}
	explain.Follow(service, c.Journal, c.Wall)
	return service
}

// AssumeRoleForPodIdentity begins a session of the role that is associated with the service
// account of a pod, for the bearer of the pod's token. Errors that are *query.Error have the
// codes of the API of EKS. id is the request's. There must be a Cluster.
func (s *STS) AssumeRoleForPodIdentity(req *http.Request, id, token string) (PodCredentials, error) {
	ctx, service := req.Context(), s.podService
	call := &query.Call{ID: id, Service: service, Action: "AssumeRoleForPodIdentity", HTTP: req}
	err := service.Before(ctx, call)
	var c PodCredentials
	if r := explain.Of(call); err == nil {
		r.Region = s.config.Cluster.Region
		c, err = s.becomeOfPod(ctx, token, r)
	}
	service.After(ctx, call, err)
	return c, err
}

func (s *STS) becomeOfPod(ctx context.Context, token string, r *explain.Record) (PodCredentials, error) {
	who, err := s.bearer(ctx, token, r)
	if err != nil {
		return PodCredentials{}, err
	}
	association, name, err := s.association(who, r)
	if err != nil {
		return PodCredentials{}, err
	}
	role, there, err := s.role(ctx, name, r)
	if err != nil {
		return PodCredentials{}, err
	}
	a := asked{role: name, session: podSession(who.Pod), duration: podsDuration}
	r.Role, r.Session = name.String(), a.session
	with := caller.Session{}
	actions := []string{"sts:AssumeRole"}
	if !association.DisableSessionTags {
		with.Tags, with.Transitive = s.podTags(who, name)
		actions = append(actions, "sts:TagSession")
	}
	if !there || decide(actions, &role, policy.Principal{Service: pods}, s.podKeys(&a, &with), &policy.Policies{}, r) != nil {
		return PodCredentials{}, query.Refuse(http.StatusBadRequest, "AccessDeniedException", "Unauthorized Exception! EKS does not have permissions to assume the associated role.")
	}
	if _, err := pack(&a, &with); err != nil {
		return PodCredentials{}, err
	}
	made, _, err := s.begin(ctx, &a, &role, with)
	return PodCredentials{made.AccessKeyID, made.SecretAccessKey, made.SessionToken, role.Account, made.Expiration}, err
}

// bearer says whose a token is: by the keys that its issuer publishes, and then by the
// cluster, which knows what has been deleted since.
func (s *STS) bearer(ctx context.Context, token string, r *explain.Record) (Bearer, error) {
	id, err := s.pods.Check(ctx, webidentity.Question{Token: token}, r)
	if id != nil {
		if now := s.config.Clock.Now(); !now.Before(id.Expires) {
			return Bearer{}, query.Refuse(http.StatusBadRequest, "ExpiredTokenException", "The token included in the request is expired: current date/time %s must be before the expiration date/time %s.",
				now.UTC().Format(time.RFC3339Nano), id.Expires.UTC().Format(time.RFC3339Nano))
		}
	}
	if err != nil {
		return Bearer{}, podRefusal(err)
	}
	who, err := s.config.Cluster.Bearer(ctx, token, pods)
	if ctx.Err() != nil {
		return Bearer{}, ctx.Err()
	}
	check := explain.Check{Name: "bearer", Got: id.Subject, Want: "a pod that there is"}
	switch {
	case err != nil:
		check.Why = err.Error()
	case who.Pod == "":
		check.Why = "the token is bound to no pod"
	}
	if !r.Said(check.Why == "", check) {
		return Bearer{}, invalidToken()
	}
	return who, nil
}

func invalidToken() *query.Error {
	return query.Refuse(http.StatusBadRequest, "InvalidTokenException", "The token included in the request is invalid.")
}

// podRefusal words a fault of a token, or of the way to its issuer, as EKS does.
func podRefusal(err error) error {
	refused, ok := err.(*query.Error)
	switch {
	case !ok:
		return err
	case refused.Code == "IDPCommunicationError":
		return query.Refuse(http.StatusServiceUnavailable, "ServiceUnavailableException", "The service is temporarily unavailable.")
	}
	return invalidToken()
}

// association finds the role of a service account.
func (s *STS) association(who Bearer, r *explain.Record) (podidentity.Identity, arn.Role, error) {
	of := who.Namespace + "/" + who.ServiceAccount
	check := explain.Check{Name: "association", Got: of, Want: "a service account with a roleArn in the file of container credentials"}
	found, ok := s.config.Cluster.Associations().Of(who.Namespace, who.ServiceAccount)
	name, err := arn.ParseRole(found.RoleARN)
	switch {
	case !ok:
		check.Why = "the file does not list the service account"
	case found.RoleARN == "":
		check.Why = "the file gives the service account no roleArn"
	case err != nil:
		check.Why = fmt.Sprintf("roleArn %q is no role", found.RoleARN)
	case found.TargetRoleARN != "" || found.Policy != "":
		check.Why = "the file has targetRoleArn or policy for the service account, which are not honoured here"
	}
	if r.Said(check.Why == "", check) {
		return found, name, nil
	}
	return found, name, query.Refuse(http.StatusNotFound, "ResourceNotFoundException", "No pod identity association was found for service account %s.", of)
}

// podSession names the session of a pod; EKS cuts the names at ten characters.
func podSession(pod string) string {
	return "eks-" + clusterName[:min(len(clusterName), 10)] + "-" + pod[:min(len(pod), 10)] + "-" + uuid.NewString()
}

// podTags are the tags of a session of a pod, all of which pass on to the next role.
func (s *STS) podTags(who Bearer, role arn.Role) (tags map[string]string, transitive []string) {
	tags = map[string]string{
		"eks-cluster-arn":            "arn:" + role.Partition + ":eks:" + s.config.Cluster.Region + ":" + role.Account + ":cluster/" + clusterName,
		"eks-cluster-name":           clusterName,
		"kubernetes-namespace":       who.Namespace,
		"kubernetes-service-account": who.ServiceAccount,
		"kubernetes-pod-name":        who.Pod,
		"kubernetes-pod-uid":         who.PodUID,
	}
	return tags, []string{"eks-cluster-arn", "eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account", "kubernetes-pod-name", "kubernetes-pod-uid"}
}

// podKeys are the condition keys that a trust policy can ask for. The call is the service's,
// not the pod's, so nothing of the pod's request is in it.
func (s *STS) podKeys(a *asked, with *caller.Session) policy.Context {
	var k policy.Context
	now := s.config.Clock.Now().UTC()
	k.Set("aws:CurrentTime", now.Format(time.RFC3339))
	k.Set("aws:EpochTime", fmt.Sprint(now.Unix()))
	k.Set("aws:SecureTransport", "true")
	k.Set("aws:RequestedRegion", s.config.Cluster.Region)
	k.Set("aws:PrincipalIsAWSService", "true")
	k.Set("aws:PrincipalServiceName", pods)
	k.Set("aws:SourceAccount", a.role.Account)
	k.Set("sts:RoleSessionName", a.session)
	setTags(&k, with.Tags, with.Transitive)
	return k
}
