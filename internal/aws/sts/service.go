package sts

import (
	"context"
	"log/slog"
	"slices"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/session"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
	"laterna.dev/laterna/internal/clock"
)

// What the API is called on the wire.
const (
	Name      = "sts"
	Version   = "2011-06-15"
	Namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
)

// Config is what the service is made from. Every field is required unless it says
// otherwise.
type Config struct {
	Directory iam.Directory
	// Network is how issuers are reached.
	Network webidentity.Network
	Sealer  *session.Sealer
	// Signatures says who signed a call.
	Signatures *sigv4.Verifier
	// Journal keeps why calls were refused.
	Journal *explain.Journal
	// Faults are those that a test asks for; nil in all other systems. Optional.
	Faults *Faults
	// Cluster is that whose pods have credentials by EKS Pod Identity; nil for none. Optional.
	Cluster *Cluster
	// Clock is the time of tokens and sessions, Wall real time.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// STS are the actions. It is safe for concurrent use; between calls nothing runs.
type STS struct {
	config Config
	tokens *webidentity.Checker
	// pods is nil without a cluster.
	pods       *webidentity.Checker
	podService *query.Service
}

// New returns an STS that has asked nobody anything yet.
func New(c Config) *STS {
	return &STS{c, webidentity.New(webidentity.Config{
		Providers: c.Directory, Network: c.Network, Clock: c.Clock,
		Faults: func() webidentity.Faults { return c.Faults.issuers() },
	}), newPods(c), newPodService(c)}
}

// Service is the API for a query.Handler.
func (s *STS) Service() *query.Service {
	service := &query.Service{
		Name: Name, Version: Version, Namespace: Namespace,
		Actions: map[string]query.Action{
			"AssumeRoleWithWebIdentity": {Public: true, Run: s.assumeRoleWithWebIdentity},
			"AssumeRole":                {Run: s.assumeRole},
			"GetCallerIdentity":         {Run: s.getCallerIdentity},
			"GetAccessKeyInfo":          {Run: s.getAccessKeyInfo},
		},
		Before:       s.before,
		Authenticate: s.config.Signatures.Authenticate,
	}
	explain.Follow(service, s.config.Journal, s.config.Wall)
	return service
}

// before are the faults that a test asks for. GetCallerIdentity is answered in regions that
// are switched off, too.
func (s *STS) before(_ context.Context, call *query.Call) error {
	f := s.config.Faults.Get()
	if f.Throttled {
		return query.Throttling()
	}
	if call.Action != "GetCallerIdentity" && slices.Contains(f.DisabledRegions, access.Region(call.HTTP)) {
		return disabled(call)
	}
	return nil
}
