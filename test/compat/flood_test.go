package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// editor makes a service account that may edit the namespace, and returns how it asks.
func (s *stage) editor(t testing.TB, name string) *rest.Config {
	t.Helper()
	s.sh(t, fmt.Sprintf("kubectl create serviceaccount -n %[1]s %[2]s && kubectl create rolebinding -n %[1]s %[2]s --clusterrole=edit --serviceaccount=%[1]s:%[2]s", s.ns, name))
	r, err := s.client.CoreV1().ServiceAccounts(s.ns).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	s.must(t, err)
	c := rest.AnonymousClientConfig(s.config(t))
	c.BearerToken, c.QPS = r.Status.Token, -1
	return c
}

// flood asks for more than there are seats, of every kind that holds one long: objects
// whose bodies never come, lists of everything that are not read, watches, and creates.
type flood struct {
	*stage
	config *rest.Config
	asked  sync.WaitGroup
}

// begin floods until ctx ends.
func (f *flood) begin(ctx context.Context, t testing.TB) {
	client, err := rest.HTTPClientFor(f.config)
	f.must(t, err)
	maps := f.config.Host + "/api/v1/namespaces/" + f.ns + "/configmaps"
	for i := range 480 {
		f.asked.Go(func() {
			for ctx.Err() == nil {
				switch i % 4 {
				case 0, 1:
					f.ask(ctx, client, "POST", maps, true)
				case 2:
					f.ask(ctx, client, "GET", maps+"?resourceVersion=", false)
				case 3:
					f.ask(ctx, client, "GET", maps+"?watch=1&timeoutSeconds=1", false)
				}
			}
		})
	}
}

// ask makes a request, whose body never comes or whose answer is not read for a while.
func (f *flood) ask(ctx context.Context, client *http.Client, method, url string, body bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var unsent io.Reader
	if body {
		reader, writer := io.Pipe()
		defer writer.Close()
		unsent = reader
	}
	req, err := http.NewRequestWithContext(ctx, method, url, unsent)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		select { // as often as a rude client comes again
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		return
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}

// metric returns the sum of the samples of a metric that have a part.
func (s *system) metric(t testing.TB, name, part string) (sum float64) {
	t.Helper()
	raw, err := s.client(t).CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, part) {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += value
		}
	}
	return sum
}

// TestFloodOfOneAccountLeavesTheServerToOthers has one service account ask for more than
// its level has. Another of the same level, a node and controllers are served.
func TestFloodOfOneAccountLeavesTheServerToOthers(t *testing.T) {
	s := newDesk(t)
	calm := s.editor(t, "calm")
	rude := &flood{stage: s.stage, config: s.editor(t, "rude")}
	for i := range 20 {
		s.configMap(t, map[string]string{"k": strings.Repeat(strconv.Itoa(i%10), 200_000)})
	}
	client, err := kubernetes.NewForConfig(calm)
	s.must(t, err)
	ctx, end := context.WithCancel(t.Context())
	rude.begin(ctx, t)
	defer rude.asked.Wait()
	defer end()
	const level = `priority_level="workload-low"`
	eventually(t, stepTimeout, func() error {
		if waiting := s.metric(t, "apiserver_flowcontrol_current_inqueue_requests", level); waiting == 0 {
			return fmt.Errorf("the flood does not fill its level: %v seats are in use", s.metric(t, "apiserver_flowcontrol_current_executing_seats", level))
		}
		return nil
	})
	var others sync.WaitGroup
	try := func(what string, ask func() error) {
		others.Go(func() {
			if err := ask(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	for range 3 {
		try("another account reads", func() error {
			_, err := client.CoreV1().ServiceAccounts(s.ns).Get(t.Context(), "calm", metav1.GetOptions{})
			return err
		})
		try("another account lists", func() error {
			_, err := client.AppsV1().Deployments(s.ns).List(t.Context(), metav1.ListOptions{})
			return err
		})
	}
	try("another account has pods made", func() error { return s.podsFor(t, client) })
	try("a node asks", func() error { return s.asNode(t) })
	others.Wait()
	for _, other := range []string{"node-high", "system", "workload-high", "leader-election"} {
		if rejected := s.metric(t, "apiserver_flowcontrol_rejected_requests_total", `priority_level="`+other+`"`); rejected > 0 {
			t.Errorf("%v requests of level %s were refused", rejected, other)
		}
	}
}

// podsFor has a deployment made and waits until controllers have made its pod, for which
// the account of client asks.
func (d desk) podsFor(t testing.TB, client kubernetes.Interface) error {
	labels := map[string]string{"app": "calm"}
	_, err := client.AppsV1().Deployments(d.ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "calm"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox:1.28"}}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < stepTimeout; time.Sleep(100 * time.Millisecond) {
		// The test's own account is exempt: how long the controllers take is asked, not how long the answer.
		if pods, err := d.client.CoreV1().Pods(d.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=calm"}); err != nil || len(pods.Items) > 0 {
			return err
		}
	}
	return fmt.Errorf("the deployment has no pods")
}

// asNode does what a node must be able to do whatever happens.
func (d desk) asNode(t testing.TB) error {
	c := rest.CopyConfig(d.config(t))
	c.Impersonate = rest.ImpersonationConfig{UserName: "system:node:far", Groups: []string{"system:nodes", "system:authenticated"}}
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return err
	}
	for path, level := range map[string]string{
		"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/far": "node-high",
		"/api/v1/nodes/far":                  "node-high",
		"/api/v1/services":                   "system",
		"/apis/storage.k8s.io/v1/csidrivers": "system",
	} {
		resp, err := client.Get(c.Host + path)
		if err != nil {
			return err
		}
		resp.Body.Close()
		l, err := d.client.FlowcontrolV1().PriorityLevelConfigurations().Get(t.Context(), level, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := resp.Header.Get(flowcontrolv1.ResponseHeaderMatchedPriorityLevelConfigurationUID); resp.StatusCode == http.StatusTooManyRequests || got != string(l.UID) {
			return fmt.Errorf("%s: %s in level %s, want %s", path, resp.Status, got, level)
		}
	}
	return nil
}
