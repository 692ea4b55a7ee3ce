package manager

import (
	"fmt"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/controller/certificates"
	"laterna.dev/laterna/internal/controller/clusterdns"
	"laterna.dev/laterna/internal/controller/clusterroleaggregation"
	"laterna.dev/laterna/internal/controller/cronjob"
	"laterna.dev/laterna/internal/controller/daemonset"
	"laterna.dev/laterna/internal/controller/deployment"
	"laterna.dev/laterna/internal/controller/disruption"
	"laterna.dev/laterna/internal/controller/endpoints"
	"laterna.dev/laterna/internal/controller/endpointslice"
	"laterna.dev/laterna/internal/controller/endpointslicemirroring"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/garbagecollector"
	"laterna.dev/laterna/internal/controller/job"
	"laterna.dev/laterna/internal/controller/namespace"
	"laterna.dev/laterna/internal/controller/nodelifecycle"
	"laterna.dev/laterna/internal/controller/podgc"
	"laterna.dev/laterna/internal/controller/policystatus"
	"laterna.dev/laterna/internal/controller/replicaset"
	"laterna.dev/laterna/internal/controller/resourcequota"
	"laterna.dev/laterna/internal/controller/rolloutonchange"
	"laterna.dev/laterna/internal/controller/rootca"
	"laterna.dev/laterna/internal/controller/scheduler"
	"laterna.dev/laterna/internal/controller/serviceaccount"
	"laterna.dev/laterna/internal/controller/serviceaccounttoken"
	"laterna.dev/laterna/internal/controller/servicecidr"
	"laterna.dev/laterna/internal/controller/statefulset"
	"laterna.dev/laterna/internal/controller/tainteviction"
	"laterna.dev/laterna/internal/controller/testclock"
	"laterna.dev/laterna/internal/controller/tokenissuer"
	"laterna.dev/laterna/internal/controller/ttlafterfinished"
	"laterna.dev/laterna/internal/ownapi"
)

// builder makes the controller of a name.
type builder struct {
	name  string
	build func(given) (runner, error)
}

// builders lists all controllers.
func (m *Manager) builders() []builder { return append(m.first(), m.later()...) }

// first are the controllers that a system begins with.
func (m *Manager) first() []builder {
	c := m.config
	all := []builder{
		{tokenissuer.Name, m.tokenIssuer},
		{serviceaccount.Name, func(g given) (runner, error) {
			accounts := serviceaccount.New(g.Env)
			c.Ready.set(defaultAccounts, accounts.Ready)
			return accounts, nil
		}},
		{rootca.Name, func(g given) (runner, error) {
			ca := rootca.New(rootca.Config{Env: g.Env, Bundle: c.CA})
			c.Ready.set(rootBundle, ca.Ready)
			return ca, nil
		}},
		{serviceaccounttoken.Name, func(g given) (runner, error) {
			return serviceaccounttoken.New(serviceaccounttoken.Config{
				Env: g.Env, Clock: c.Clock, Mint: c.Keys.MintLegacy, CA: c.CA,
				Create: c.Tokens.Legacy, CleanUpPeriod: c.Tokens.LegacyCleanUp,
			}), nil
		}},
		{namespace.Name, func(g given) (runner, error) {
			meta, err := g.metadata()
			return namespace.New(namespace.Config{Env: g.Env, Metadata: meta}), err
		}},
		{scheduler.Name, func(g given) (runner, error) { return scheduler.New(g.Env), nil }},
		{podgc.Name, func(g given) (runner, error) { return podgc.New(g.Env), nil }},
		{nodelifecycle.Name, func(g given) (runner, error) { return nodelifecycle.New(g.Env), nil }},
		{tainteviction.Name, func(g given) (runner, error) { return tainteviction.New(g.Env), nil }},
		{clusterroleaggregation.Name, func(g given) (runner, error) { return clusterroleaggregation.New(g.Env), nil }},
	}
	if c.Settled != nil {
		all = append(all, builder{testclock.Name, func(g given) (runner, error) {
			follower := testclock.New(testclock.Config{
				Client: g.Client, Clock: c.Clock, Wall: g.Wall, Log: g.Log, Owner: true, Settled: c.Settled,
			})
			c.Ready.set(storedOffset, follower.Ready)
			return follower, nil
		}})
	}
	return all
}

// later are those of workloads and of what belongs together. Nobody waits for them in a
// system that begins, and the caches that they fill are many.
func (m *Manager) later() []builder {
	c := m.config
	all := []builder{
		{garbagecollector.Name, func(g given) (runner, error) {
			meta, err := g.metadata()
			return garbagecollector.New(garbagecollector.Config{Env: g.Env, Metadata: meta, Stored: c.Stored}), err
		}},
		{daemonset.Name, func(g given) (runner, error) {
			return daemonset.New(daemonset.Config{Env: g.Env, Clock: c.Clock}), nil
		}},
		{statefulset.Name, func(g given) (runner, error) { return statefulset.New(g.Env), nil }},
		{disruption.Name, func(g given) (runner, error) { return disruption.New(g.Env), nil }},
		{deployment.Name, func(g given) (runner, error) { return deployment.New(g.Env), nil }},
		{replicaset.Name, func(g given) (runner, error) { return replicaset.New(g.Env), nil }},
		{replicaset.ReplicationName, func(g given) (runner, error) { return replicaset.NewReplication(g.Env), nil }},
		{rolloutonchange.Name, func(g given) (runner, error) {
			return rolloutonchange.New(rolloutonchange.Config{Env: g.Env, Clock: c.Clock}), nil
		}},
		{endpointslice.Name, func(g given) (runner, error) { return endpointslice.New(g.Env), nil }},
		{endpoints.Name, func(g given) (runner, error) { return endpoints.New(g.Env), nil }},
		{servicecidr.Name, func(g given) (runner, error) { return servicecidr.New(g.Env), nil }},
		{endpointslicemirroring.Name, func(g given) (runner, error) { return endpointslicemirroring.New(g.Env), nil }},
		{job.Name, func(g given) (runner, error) { return job.New(job.Config{Env: g.Env, Clock: c.Clock}), nil }},
		{cronjob.Name, func(g given) (runner, error) {
			return cronjob.New(cronjob.Config{Env: g.Env, Clock: c.Clock}), nil
		}},
		{resourcequota.Name, func(g given) (runner, error) {
			meta, err := g.metadata()
			return resourcequota.New(resourcequota.Config{Env: g.Env, Metadata: meta}), err
		}},
		{policystatus.Name, func(g given) (runner, error) {
			return policystatus.New(g.Env), nil
		}},
		{certificates.Name, func(g given) (runner, error) {
			return certificates.New(certificates.Config{Env: g.Env, Sign: c.Sign}), nil
		}},
		{ttlafterfinished.Name, func(g given) (runner, error) {
			return ttlafterfinished.New(ttlafterfinished.Config{Env: g.Env, Clock: c.Clock}), nil
		}},
	}
	if c.ClusterDNS.IsValid() {
		all = append(all, builder{clusterdns.Name, func(g given) (runner, error) {
			return clusterdns.New(clusterdns.Config{Env: g.Env, Address: c.ClusterDNS}), nil
		}})
	}
	return all
}

// tokenIssuer makes the controller that carries out changes of the issuer.
func (m *Manager) tokenIssuer(g given) (runner, error) {
	configAPI, err := ownapi.NewClient(g.rest, configv1.SchemeGroupVersion, configv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	operatorAPI, err := ownapi.NewClient(g.rest, operatorv1.SchemeGroupVersion, operatorv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	tokens := tokenissuer.New(tokenissuer.Config{
		Env: g.Env, ConfigAPI: configAPI, OperatorAPI: operatorAPI,
		Key: m.config.Keys.SigningKey(), Issuer: m.config.Tokens.Issuer, Overlap: m.config.Tokens.Overlap,
		Clock: m.config.Clock,
	})
	m.config.Ready.set(tokenIssuers, tokens.Ready)
	return tokens, nil
}

// given is what a controller gets, and the configuration of its client for those that
// need other clients besides.
type given struct {
	env.Env
	rest *rest.Config
}

// give makes what the controller of that name gets.
func (m *Manager) give(name string, shared informers.SharedInformerFactory) (given, error) {
	config := m.config.As(user(name))
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return given{}, fmt.Errorf("making the client of %s: %w", name, err)
	}
	e := env.Env{
		Name: name, Client: client, Informers: shared, Wall: m.config.Wall,
		Log: m.config.Log.With("controller", name), Metrics: m.metrics,
	}
	return given{e, config}, nil
}

// metadata returns a client of all kinds, as the same user.
func (g given) metadata() (metadata.Interface, error) {
	client, err := metadata.NewForConfig(g.rest)
	if err != nil {
		return nil, fmt.Errorf("making the metadata client of %s: %w", g.Name, err)
	}
	return client, nil
}
