package apiserver_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// classes knows flow schemas and priority levels by what headers say of them.
type classes map[string]string

func (s *system) classes() classes {
	s.t.Helper()
	all := classes{}
	schemas, err := s.admin().FlowcontrolV1().FlowSchemas().List(s.t.Context(), metav1.ListOptions{})
	must(s.t, err)
	for _, f := range schemas.Items {
		all[string(f.UID)] = f.Name
	}
	levels, err := s.admin().FlowcontrolV1().PriorityLevelConfigurations().List(s.t.Context(), metav1.ListOptions{})
	must(s.t, err)
	for _, l := range levels.Items {
		all[string(l.UID)] = l.Name
	}
	return all
}

// of says where the request of a response has landed.
func (c classes) of(resp *http.Response) string {
	h := resp.Header
	return c[h.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID)] + " in " + c[h.Get(flowcontrolv1.ResponseHeaderMatchedPriorityLevelConfigurationUID)]
}

// classified waits until requests are classified as what is stored says.
func (s *system) classified() classes {
	s.t.Helper()
	all := s.classes()
	client, err := rest.HTTPClientFor(s.config("somebody"))
	must(s.t, err)
	eventually(s.t, func() error {
		if all = s.classes(); len(all) < 19 {
			return fmt.Errorf("there are only %v", slices.Collect(maps.Values(all)))
		}
		if got := all.of(s.answer(client, "https://"+s.addr+"/api/v1/nodes")); got != "global-default in global-default" {
			return fmt.Errorf("somebody's request is %s", got)
		}
		return nil
	})
	return all
}

// answer returns a response whose body has been read.
func (s *system) answer(c *http.Client, url string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", url, nil)
	must(s.t, err)
	resp, err := c.Do(req)
	must(s.t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	must(s.t, err)
	must(s.t, resp.Body.Close())
	return resp
}

func TestFairness(t *testing.T) {
	shared(t, map[string]func(*testing.T, *system){
		"requests land in their levels":             testLevels,
		"controllers land above workloads":          testControllerLevels,
		"open watches have no seats":                testWatchesHaveNoSeats,
		"who does not finish gives way":             testStalledGiveWay,
		"a schema without its level says so":        testDangling,
		"what is refused says when to come again":   testRefused,
		"tables show schemas as requests meet them": testSchemaTable,
		"what the library does is shown":            testDumps,
	})
}

func testLevels(t *testing.T, s *system) {
	all := s.classified()
	for _, tc := range []struct {
		user   string
		groups []string
		path   string
		want   string
	}{
		{"admin", []string{"system:masters"}, "/api/v1/pods", "exempt in exempt"},
		{"ann", nil, "/readyz", "probes in exempt"},
		{"ann", nil, "/api/v1/pods", "global-default in global-default"},
		{"ann", nil, "/.well-known/openid-configuration", "global-default in global-default"},
		{"system:node:n", []string{"system:nodes"}, "/api/v1/nodes/n", "system-node-high in node-high"},
		{"system:node:n", []string{"system:nodes"}, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n", "system-node-high in node-high"},
		{"system:node:n", []string{"system:nodes"}, "/api/v1/namespaces/a/serviceaccounts/b", "system-nodes in system"},
		{"system:serviceaccount:a:b", []string{"system:serviceaccounts", "system:serviceaccounts:a"}, "/api/v1/pods", "service-accounts in workload-low"},
		{"system:serviceaccount:kube-system:coredns", []string{"system:serviceaccounts", "system:serviceaccounts:kube-system"}, "/api/v1/pods", "kube-system-service-accounts in workload-high"},
		{"system:serviceaccount:kube-system:x", []string{"system:serviceaccounts", "system:serviceaccounts:kube-system"}, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x", "system-leader-election in leader-election"},
	} {
		client, err := rest.HTTPClientFor(s.config(tc.user, tc.groups...))
		must(t, err)
		if got := all.of(s.answer(client, "https://"+s.addr+tc.path)); got != tc.want {
			t.Errorf("%s of %s is %s, want %s", tc.path, tc.user, got, tc.want)
		}
	}
}

// testControllerLevels asks as everybody who has a role of the system's controllers.
func testControllerLevels(t *testing.T, s *system) {
	all := s.classified()
	bindings, err := s.admin().RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	seen := 0
	for _, b := range bindings.Items {
		for _, subject := range b.Subjects {
			user := subject.Name
			if subject.Kind == rbacv1.ServiceAccountKind {
				user = "system:serviceaccount:" + subject.Namespace + ":" + subject.Name
			}
			if !strings.HasPrefix(b.RoleRef.Name, "system:controller:") && user != "system:kube-scheduler" {
				continue
			}
			seen++
			client, err := rest.HTTPClientFor(s.server.ControllerConfig(user))
			must(t, err)
			if got := all.of(s.answer(client, "http://loopback/api/v1/namespaces/default")); !strings.HasSuffix(got, " in workload-high") {
				t.Errorf("%s is %s", user, got)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d controllers", seen)
	}
}

// dump returns what the library shows, by priority level: the requests that it names
// behind.
func (s *system) dump(of string) []string {
	s.t.Helper()
	code, raw := s.fetch(s.privileged(), "GET", "/debug/api_priority_and_fairness/"+of+"?includeRequestDetails=1", nil)
	if code != http.StatusOK {
		s.t.Fatalf("%d %s", code, raw)
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")[1:]
}

// testWatchesHaveNoSeats opens a watch of every kind that can be watched.
func testWatchesHaveNoSeats(t *testing.T, s *system) {
	s.classified()
	client := s.privileged()
	for _, r := range s.watched() {
		path := "/apis/" + r.Group + "/" + r.Version + "/" + r.Resource
		if r.Group == "" {
			path = "/api/" + r.Version + "/" + r.Resource
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.addr+path+"?watch=1", nil)
		must(t, err)
		resp, err := client.Do(req)
		must(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Errorf("watching %s: %d", path, resp.StatusCode)
		}
	}
	eventually(t, func() error {
		for _, line := range s.dump("dump_requests") {
			if strings.Contains(line, " watch, ") {
				return fmt.Errorf("has a seat: %s", line)
			}
		}
		return nil
	})
}

// narrow makes a level of few seats that cannot borrow, for the users of a group of its
// name, and lets those do anything.
func (s *system) narrow(name string, response flowcontrolv1.LimitResponse) {
	s.t.Helper()
	ctx, meta := s.t.Context(), metav1.ObjectMeta{Name: name}
	_, err := s.admin().FlowcontrolV1().PriorityLevelConfigurations().Create(ctx, &flowcontrolv1.PriorityLevelConfiguration{
		ObjectMeta: meta,
		Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type: flowcontrolv1.PriorityLevelEnablementLimited,
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
				NominalConcurrencyShares: new(int32(1)), BorrowingLimitPercent: new(int32(0)), LimitResponse: response,
			},
		},
	}, metav1.CreateOptions{})
	must(s.t, err)
	all := []string{"*"}
	_, err = s.admin().FlowcontrolV1().FlowSchemas().Create(ctx, &flowcontrolv1.FlowSchema{
		ObjectMeta: meta,
		Spec: flowcontrolv1.FlowSchemaSpec{
			MatchingPrecedence:         700,
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: name},
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects:         []flowcontrolv1.Subject{{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: name}}},
				ResourceRules:    []flowcontrolv1.ResourcePolicyRule{{Verbs: all, APIGroups: all, Resources: all, Namespaces: all, ClusterScope: true}},
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}},
			}},
		},
	}, metav1.CreateOptions{})
	must(s.t, err)
	_, err = s.admin().RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}},
	}, metav1.CreateOptions{})
	must(s.t, err)
	client, err := rest.HTTPClientFor(s.config("first", name))
	must(s.t, err)
	eventually(s.t, func() error {
		resp := s.answer(client, "https://"+s.addr+"/api/v1/namespaces/default")
		if got := s.classes().of(resp); got != name+" in "+name || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%d, %s", resp.StatusCode, got)
		}
		return nil
	})
}

// unsent begins to create an object, on a connection of its own, and sends nothing of it.
// The status of the answer is told, "" if the connection ends without.
func (s *system) unsent(user, group string, told chan<- string) {
	s.t.Helper()
	config, err := rest.TLSConfigFor(s.config(user, group))
	must(s.t, err)
	config.ServerName, config.NextProtos = "localhost", nil
	conn, err := tls.Dial("tcp", s.addr, config)
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprint(conn, "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
	must(s.t, err)
	go func() {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		told <- strings.TrimSpace(line)
	}()
}

// executing waits until so many requests of a level execute.
func (s *system) executing(level string, n int) {
	s.t.Helper()
	eventually(s.t, func() error {
		for _, line := range s.dump("dump_priority_levels") {
			fields := strings.Split(strings.ReplaceAll(line, " ", ""), ",")
			if fields[0] == level && fields[5] == fmt.Sprint(n) {
				return nil
			}
		}
		return fmt.Errorf("%v", s.dump("dump_priority_levels"))
	})
}

// narrowSeats is how many seats a level with one share has: 600 × 1 / 246, rounded up.
const narrowSeats = 3

// testStalledGiveWay fills a level with requests whose bodies do not come. Another account
// of the same level is served, long before its request would be refused.
func testStalledGiveWay(t *testing.T, s *system) {
	s.classified()
	s.narrow("narrow", flowcontrolv1.LimitResponse{Type: "Queue", Queuing: &flowcontrolv1.QueuingConfiguration{Queues: 64, HandSize: 6, QueueLengthLimit: 50}})
	told := make(chan string, 10)
	for range cap(told) {
		s.unsent("flood", "narrow", told)
	}
	s.executing("narrow", narrowSeats)
	client, err := rest.HTTPClientFor(s.config("calm", "narrow"))
	must(t, err)
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			resp := s.answer(client, "https://"+s.addr+"/api/v1/namespaces/default")
			if resp.StatusCode != http.StatusOK {
				t.Errorf("the other account gets %d", resp.StatusCode)
			}
		})
	}
	others.Wait()
	for range narrowSeats {
		if line := <-told; strings.HasPrefix(line, "HTTP/1.1 2") {
			t.Errorf("a request without its body is answered with %s", line)
		}
	}
}

func testRefused(t *testing.T, s *system) {
	s.classified()
	s.narrow("strict", flowcontrolv1.LimitResponse{Type: "Reject"})
	told := make(chan string, narrowSeats)
	for range narrowSeats {
		s.unsent("flood", "strict", told)
	}
	s.executing("strict", narrowSeats)
	client, err := rest.HTTPClientFor(s.config("calm", "strict"))
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.addr+"/api/v1/namespaces/default", nil)
	must(t, err)
	resp, err := client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" || string(raw) != "Too many requests, please try again later.\n" || s.classes().of(resp) != "strict in strict" {
		t.Errorf("%d, %v: %s", resp.StatusCode, resp.Header, raw)
	}
	// Who comes again is served: those who hold everything up are gone by then.
	eventually(t, func() error {
		if resp := s.answer(client, "https://"+s.addr+"/api/v1/namespaces/default"); resp.StatusCode != http.StatusOK {
			time.Sleep(100 * time.Millisecond)
			return fmt.Errorf("answered with %d", resp.StatusCode)
		}
		return nil
	})
}

func testDangling(t *testing.T, s *system) {
	s.classified()
	lost := &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "lost"},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "nowhere"},
			Rules:                      nil,
		},
	}
	_, err := s.admin().FlowcontrolV1().FlowSchemas().Create(t.Context(), lost, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func() error {
		if got := strings.Join(strings.Fields(s.said("", "get", "flowschema", "lost", "--no-headers")), " "); !strings.HasPrefix(got, "lost nowhere 1000 <none> ") || !strings.HasSuffix(got, " True") {
			return fmt.Errorf("kubectl says %s", got)
		}
		return nil
	})
}

func testSchemaTable(t *testing.T, s *system) {
	s.classified()
	names := strings.Fields(s.said("", "get", "flowschemas", "-o", "custom-columns=:.metadata.name"))
	var shown []string
	for _, line := range strings.Split(strings.TrimSpace(s.said("", "get", "flowschemas", "--no-headers")), "\n") {
		if name := strings.Fields(line)[0]; slices.Contains([]string{"exempt", "probes", "system-nodes", "service-accounts", "catch-all"}, name) {
			shown = append(shown, name)
		}
	}
	if got := fmt.Sprint(shown); got != "[exempt probes system-nodes service-accounts catch-all]" || len(names) < 11 {
		t.Errorf("%s of %v", got, names)
	}
}

func testDumps(t *testing.T, s *system) {
	if lines := s.dump("dump_queues"); len(lines) < 300 {
		t.Errorf("%d lines about queues", len(lines))
	}
	if code, _ := s.fetch(s.privileged(), "GET", "/debug/api_priority_and_fairness/other", nil); code != http.StatusNotFound {
		t.Errorf("another dump: %d", code)
	}
}
