package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/test/system"
)

const (
	// flooders is how many lists one account asks for at a time.
	flooders = 100
	// floodedMaps and floodedBytes are what each list reads.
	floodedMaps, floodedBytes = 100, 8 << 10
	// floodLasts is how long the other account's requests are timed in each state.
	floodLasts = 10 * time.Second
)

// measureFlood times one account's requests while another asks for lists of everything,
// with both in one priority level, and with both in the one that nothing limits.
func measureFlood(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	f, err := newFlood(ctx, s)
	if err != nil {
		return nil, err
	}
	quiet, err := f.time(ctx)
	if err != nil {
		return nil, err
	}
	fair, lists, err := f.during(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.exempt(ctx); err != nil {
		return nil, err
	}
	unfair, more, err := f.during(ctx)
	if err != nil {
		return nil, err
	}
	const p99 = 0.99
	each := func(what string, d durations, note string) figure {
		return figure{What: what, Value: ms(d.quantile(p99)), Unit: "ms", Note: fmt.Sprintf("p50 %s ms, n=%d%s", number(ms(d.median())), len(d), note)}
	}
	ratio := float64(unfair.quantile(p99)) / float64(fair.quantile(p99))
	return []figure{
		each("ServiceAccount get of one account, alone: p99", quiet, ""),
		each(fmt.Sprintf("… while another keeps %d lists going: p99", flooders), fair, fmt.Sprintf(", %d lists answered", lists)),
		each("… and nothing limits both: p99", unfair, fmt.Sprintf(", %d lists answered, %s times the limited", more, number(ratio))),
	}, b.remove(s)
}

// flood is two service accounts, and what one of them lists.
type flood struct {
	system      *system.System
	admin       kubernetes.Interface
	calm, noisy *http.Client
	host        string
}

// accountOf returns a client of an account with connections of its own: what one reads
// would hold up what the other does on the same.
func accountOf(config *rest.Config, name string) (*http.Client, error) {
	c := rest.CopyConfig(config)
	c.Dial = new(net.Dialer).DialContext
	c.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + name, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}}
	return rest.HTTPClientFor(c)
}

func newFlood(ctx context.Context, s *system.System) (*flood, error) {
	config, err := s.Config()
	if err != nil {
		return nil, err
	}
	f := &flood{system: s, host: config.Host}
	if f.admin, err = s.Client(); err != nil {
		return nil, err
	}
	if f.calm, err = accountOf(config, "calm"); err != nil {
		return nil, err
	}
	if f.noisy, err = accountOf(config, "noisy"); err != nil {
		return nil, err
	}
	_, err = f.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "flood"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:" + namespace}},
	}, metav1.CreateOptions{})
	for i := 0; i < floodedMaps && err == nil; i++ {
		object := sequence(fmt.Sprintf("flooded-%d", i), i)
		object.Data["filler"] = strings.Repeat("x", floodedBytes)
		_, err = f.admin.CoreV1().ConfigMaps(namespace).Create(ctx, object, metav1.CreateOptions{})
	}
	return f, err
}

// get asks once and reads the answer; refused says that it was one too many.
func (f *flood) get(ctx context.Context, c *http.Client, path string) (refused bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.host+"/api/v1/namespaces/"+namespace+"/"+path, nil)
	if err != nil {
		return false, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusTooManyRequests {
		return false, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp.StatusCode == http.StatusTooManyRequests, nil
}

// time asks as the calm account, one request after the other. Each must be answered.
func (f *flood) time(ctx context.Context) (d durations, err error) {
	for began := time.Now(); time.Since(began) < floodLasts; {
		asked := time.Now()
		refused, err := f.get(ctx, f.calm, "serviceaccounts/default")
		if err != nil {
			return nil, err
		}
		if refused {
			return nil, errors.New("the other account is refused")
		}
		d = append(d, time.Since(asked))
	}
	return d, nil
}

// during is time while the noisy account lists. It tells how many lists were answered.
func (f *flood) during(ctx context.Context) (d durations, lists int64, err error) {
	noise, quiet := context.WithCancel(ctx)
	defer quiet()
	var all sync.WaitGroup
	var answered atomic.Int64
	for range flooders {
		all.Go(func() {
			for noise.Err() == nil {
				if refused, err := f.get(noise, f.noisy, "configmaps"); err == nil && !refused {
					answered.Add(1)
				}
			}
		})
	}
	time.Sleep(time.Second) // until all of them wait
	d, err = f.time(ctx)
	lists = answered.Load()
	quiet()
	all.Wait()
	return d, lists, err
}

// exempt puts both accounts where requests do not wait for each other.
func (f *flood) exempt(ctx context.Context) error {
	every := []string{"*"}
	_, err := f.admin.FlowcontrolV1().FlowSchemas().Create(ctx, &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "flood"},
		Spec: flowcontrolv1.FlowSchemaSpec{
			MatchingPrecedence:         50,
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "exempt"},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects:      []flowcontrolv1.Subject{{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: "system:serviceaccounts:" + namespace}}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{Verbs: every, APIGroups: every, Resources: every, Namespaces: every, ClusterScope: true}},
			}},
		},
	}, metav1.CreateOptions{})
	time.Sleep(time.Second) // until it holds
	return err
}
