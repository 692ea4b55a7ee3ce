package tokenissuer

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/tokens/issuer/status"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const first = "https://kubernetes.default.svc"

// cluster applies decisions to one object, as the store does.
type cluster struct {
	situation
}

func newCluster(nodes ...node) *cluster {
	return &cluster{situation{
		now: &operatorv1.KubeAPIServer{ObjectMeta: metav1.ObjectMeta{Generation: 1}}, nodes: nodes, key: "k1", issuer: first,
		overlap: 24 * time.Hour, clock: now, wall: now,
	}}
}

func (c *cluster) ask(issuer string) decision {
	c.want = configv1.AuthenticationSpec{ServiceAccountIssuer: issuer}
	return c.step()
}

func (c *cluster) step() decision {
	d := decide(c.situation)
	c.now = c.now.DeepCopy()
	c.now.Status = d.status
	return d
}

// issuers are the accepted issuers with the hours that each has left.
func (c *cluster) issuers() string {
	var all []string
	for _, t := range c.now.Status.ServiceAccountIssuers {
		text := t.Name
		if t.ExpirationTime != nil {
			text += fmt.Sprintf("+%gh", t.ExpirationTime.Sub(c.clock).Hours())
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func (c *cluster) condition(kind string) operatorv1.OperatorCondition {
	for _, o := range c.now.Status.Conditions {
		if o.Type == kind {
			return o
		}
	}
	return operatorv1.OperatorCondition{}
}

// The order of OpenShift's own test (test/e2e/serviceaccountissuer.go of its operator).
func TestIssuersFollowOneAnother(t *testing.T) {
	c := newCluster()
	if d := c.step(); c.issuers() != first || c.now.Status.LatestAvailableRevision != 1 || d.changed != "" {
		t.Errorf("at first: %s, %+v", c.issuers(), d)
	}
	if d := c.ask("https://first"); c.issuers() != "https://first "+first+"+24h" || d.changed != `Issuer set to "https://first". Previous issuer "`+first+`" is trusted until 2026-05-02T12:00:00Z` {
		t.Errorf("%s, %s", c.issuers(), d.changed)
	}
	c.clock = c.clock.Add(time.Hour)
	if c.ask("https://second"); c.issuers() != "https://second https://first+24h "+first+"+23h" {
		t.Error(c.issuers())
	}
	c.clock = c.clock.Add(time.Hour)
	if c.ask(""); c.issuers() != first+" https://second+24h https://first+23h" || c.now.Status.LatestAvailableRevision != 4 {
		t.Errorf("%s, revision %d", c.issuers(), c.now.Status.LatestAvailableRevision)
	}
	if d := c.step(); d.changed != "" || c.now.Status.LatestAvailableRevision != 4 {
		t.Errorf("nothing happened, but revision %d, %q", c.now.Status.LatestAvailableRevision, d.changed)
	}
	c.clock = c.clock.Add(23 * time.Hour)
	if c.step(); c.issuers() != first+" https://second+1h" || c.now.Status.LatestAvailableRevision != 4 {
		t.Errorf("after the end of one: %s, revision %d", c.issuers(), c.now.Status.LatestAvailableRevision)
	}
}

func TestWithoutOverlapFormerIssuersEndAtOnce(t *testing.T) {
	c := newCluster()
	c.overlap = 0
	c.step()
	if d := c.ask("https://first"); c.issuers() != "https://first" || d.changed != `Issuer set to "https://first". Previous issuer "`+first+`" is not trusted any more` {
		t.Errorf("%s, %q", c.issuers(), d.changed)
	}
}

func TestNoMoreThanTenIssuers(t *testing.T) {
	c := newCluster()
	c.step()
	for i := range status.MaxIssuers - 1 {
		c.ask(fmt.Sprintf("https://%d", i))
	}
	before := c.issuers()
	d := c.ask("https://one-too-many")
	if c.issuers() != before || !strings.HasPrefix(d.warning, "unable to configure more than 10 trusted service account issuers at the time, ") || d.changed != "" {
		t.Errorf("%s\n%+v", c.issuers(), d)
	}
	if o := c.condition(operatorv1.ServiceAccountIssuerDegraded); o.Status != "True" || o.Message != d.warning {
		t.Errorf("%+v", o)
	}
	if d := c.ask("https://3"); d.warning != "" || !strings.HasPrefix(c.issuers(), "https://3 https://8+24h") {
		t.Errorf("one that is trusted already: %s, %+v", c.issuers(), d)
	}
	c.ask("https://one-too-many")
	c.clock = c.clock.Add(25 * time.Hour)
	if d := c.step(); d.warning != "" || c.issuers() != "https://one-too-many https://3+24h" {
		t.Errorf("once there is room: %s, %+v", c.issuers(), d)
	}
}

// An end that has come must not stay the next thing to wait for: that would be now, again
// and again.
// The flag is changed on one server after the other.
func TestServersWithOtherFlagsDoNotTakeTurns(t *testing.T) {
	a := newCluster()
	a.step()
	b := newCluster()
	b.issuer, b.now = "https://other", a.now
	if b.step(); b.issuers() != "https://other "+first+"+24h" {
		t.Errorf("the server that starts: %s", b.issuers())
	}
	a.now, a.unasked = b.now, true
	if a.step(); a.issuers() != b.issuers() || a.now.Status.LatestAvailableRevision != 2 {
		t.Errorf("the server that runs: %s, revision %d", a.issuers(), a.now.Status.LatestAvailableRevision)
	}
	a.ask("https://asked")
	a.unasked = false
	if a.ask(""); a.issuers() != first+" https://asked+24h https://other+24h" {
		t.Errorf("once nothing is asked for any more: %s", a.issuers())
	}
}

// lagging is a server that hears of another key late.
type lagging struct{ here, stored string }

func (l lagging) ID(context.Context) string                    { return l.here }
func (l lagging) Newest(context.Context) string                { return l.stored }
func (lagging) Subscribe() (changed <-chan struct{}, _ func()) { return nil, func() {} }

func TestAServerThatLagsTellsOfNoKeyBackwards(t *testing.T) {
	for _, tc := range []struct {
		key         lagging
		known, want string
	}{
		{lagging{"k1", "k2"}, "k2", "k2"}, {lagging{"k2", "k2"}, "k1", "k2"}, {lagging{"k1", "k2"}, "k1", "k1"},
		{lagging{"", "k2"}, "k1", ""}, {lagging{"k1", ""}, "k2", ""}, {lagging{"k1", "k2"}, "", "k1"},
	} {
		if got := signing(t.Context(), tc.key, tc.known); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}

func TestWhatHasEndedGoesAlsoWhileAChangeIsRefused(t *testing.T) {
	c := newCluster()
	c.step()
	for i := range 12 { // more than there can be: written by hand
		c.now.Status.ServiceAccountIssuers = append(c.now.Status.ServiceAccountIssuers,
			trusted{Name: fmt.Sprintf("https://%d", i), ExpirationTime: &metav1.Time{Time: now.Add(time.Duration(i) * time.Hour)}})
	}
	d := c.ask("https://one-too-many")
	if !strings.HasPrefix(d.warning, "unable to configure more than 10") || len(c.now.Status.ServiceAccountIssuers) != 12 {
		t.Errorf("%s, %q", c.issuers(), d.warning)
	}
	if end, ok := firstEnd(c.now.Status.ServiceAccountIssuers); !ok || !end.After(c.clock) {
		t.Errorf("the next end is %v, it is %v", end, c.clock)
	}
}

func TestRevisionsWrittenByHand(t *testing.T) {
	for _, tc := range []struct{ written, next int32 }{{-7, 1}, {0, 1}, {3, 4}, {math.MaxInt32, 1}} {
		c := newCluster(node{name: "a", ready: true, reports: true, revision: 12})
		c.step()
		c.now.Status.LatestAvailableRevision = tc.written
		if c.ask("https://new"); c.now.Status.LatestAvailableRevision != tc.next {
			t.Errorf("after %d: %d", tc.written, c.now.Status.LatestAvailableRevision)
		}
		if o := c.condition(operatorv1.NodeInstallerProgressing); o.Status != "True" {
			t.Errorf("after %d a report of revision 12 counts: %+v", tc.written, o)
		}
	}
}

func TestWhatIsNoIssuerIsNotTaken(t *testing.T) {
	c := newCluster()
	c.step()
	if d := c.ask("10.0.0.1:443/x"); c.issuers() != first || !strings.Contains(d.warning, "contains a colon") {
		t.Errorf("%s, %+v", c.issuers(), d)
	}
}

func TestRevisionsGrowWithIssuersKeysAndReasons(t *testing.T) {
	c := newCluster()
	revision := func(what string, want int32) {
		t.Helper()
		if c.step(); c.now.Status.LatestAvailableRevision != want {
			t.Errorf("%s: revision %d, want %d", what, c.now.Status.LatestAvailableRevision, want)
		}
	}
	c.key = ""
	revision("before the key is known", 1)
	c.key = "k1"
	revision("the first key", 1)
	revision("nothing", 1)
	c.key = "k2"
	revision("another key", 2)
	c.now.Generation, c.now.Spec.ForceRedeploymentReason = 2, "because"
	revision("a reason", 3)
	revision("nothing again", 3)
	c.want.ServiceAccountIssuer = "https://new"
	c.key = "k3"
	revision("issuer and key", 4)
}

func TestProgress(t *testing.T) {
	at := func(name string, revision int32) node {
		return node{name: name, revision: revision, reports: true, ready: true}
	}
	down, mute, fresh := node{name: "d", revision: 11, reports: true}, node{name: "m", revision: 11, reports: true, ready: true, silent: true}, node{name: "f", ready: true}
	for _, tc := range []struct {
		name            string
		nodes           []node
		grace           bool
		status, message string
	}{
		{"none has come", []node{at("a", 11), at("b", 11), at("c", 11)}, false, "True", "3 nodes are at revision 11; 0 nodes have achieved new revision 12"},
		{"one has come", []node{at("a", 11), at("b", 12), at("c", 11)}, false, "True", "2 nodes are at revision 11; 1 node is at revision 12"},
		{"from several", []node{at("a", 9), at("b", 12), at("c", 11)}, false, "True", "1 node is at revision 9; 1 node is at revision 11; 1 node is at revision 12"},
		{"all have come", []node{at("a", 12), at("b", 12), at("c", 12)}, false, "False", "3 nodes are at revision 12"},
		{"one node", []node{at("a", 12)}, false, "False", "1 node is at revision 12"},
		{"one node on the way", []node{at("a", 11)}, false, "True", "1 node is at revision 11; 0 nodes have achieved new revision 12"},
		{"one reports what is not yet", []node{at("a", 12), at("b", 13)}, false, "True", "1 node is at revision 0; 1 node is at revision 12"},
		{"no node", nil, false, "False", "0 nodes are at revision 12"},
		{"one is down", []node{at("a", 12), at("b", 12), down}, false, "False", "2 nodes are at revision 12; left out: d (not ready)"},
		{"one is silent", []node{at("a", 12), mute}, false, "False", "1 node is at revision 12; left out: m (silent)"},
		{"one has just started", []node{at("a", 12), fresh}, true, "True", "1 node is at revision 0; 1 node is at revision 12"},
		{"one never reports", []node{at("a", 12), fresh}, false, "False", "1 node is at revision 12; left out: f (silent)"},
		{"all are down", []node{down}, false, "False", "0 nodes are at revision 12; left out: d (not ready)"},
	} {
		c := newCluster(tc.nodes...)
		c.now.Status = operatorv1.KubeAPIServerStatus{LatestAvailableRevision: 12, SigningKeyID: "k1", ObservedGeneration: 1, ServiceAccountIssuers: []trusted{{Name: first}}}
		c.grace = tc.grace
		c.step()
		reason := ""
		if tc.status == "False" {
			reason = operatorv1.ReasonAllNodesAtLatestRevision
		}
		if o := c.condition(operatorv1.NodeInstallerProgressing); o.Status != tc.status || o.Reason != reason || o.Message != tc.message {
			t.Errorf("%s: %+v", tc.name, o)
		}
	}
}

func TestConditionsKeepTheirTime(t *testing.T) {
	c := newCluster(node{name: "a", reports: true, revision: 1, ready: true})
	c.step()
	c.step()
	c.wall = now.Add(time.Hour)
	c.step()
	if o := c.condition(operatorv1.NodeInstallerProgressing); o.Status != "False" || !o.LastTransitionTime.Time.Equal(now) {
		t.Errorf("%+v", o)
	}
	c.ask("https://new")
	if o := c.condition(operatorv1.NodeInstallerProgressing); o.Status != "True" || !o.LastTransitionTime.Time.Equal(c.wall) {
		t.Errorf("%+v", o)
	}
	if o := c.condition(operatorv1.StaticPodsAvailable); o.Status != "True" || !strings.HasPrefix(o.Message, "1 nodes are active; 1 node is at revision 1") {
		t.Errorf("%+v", o)
	}
}
