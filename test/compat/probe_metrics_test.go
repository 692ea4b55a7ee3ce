package compat

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// nodeAPI asks the node's own endpoint with a token.
func (s *system) nodeAPI(t testing.TB, path, token string) (code int, body string) {
	t.Helper()
	where := s.sh(t, `kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}:{.items[0].status.daemonEndpoints.kubeletEndpoint.Port}'`)
	// Its certificate is not what is looked at here.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: stepTimeout}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+where+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// TestProbesAreCountedAsByTheKubelet reads /metrics/probes as a monitor does.
func TestProbesAreCountedAsByTheKubelet(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: monitor}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    readinessProbe: {exec: {command: ["false"]}, periodSeconds: 1}
`)
	shared.sh(t, "kubectl create clusterrole "+ns+" --verb=get --resource=nodes/metrics")
	shared.sh(t, "kubectl create clusterrolebinding "+ns+" --clusterrole="+ns+" --serviceaccount="+ns+":monitor")
	t.Cleanup(func() { shared.sh(t, "kubectl delete clusterrole,clusterrolebinding "+ns) })
	monitor := strings.TrimSpace(shared.sh(t, "kubectl create token -n "+ns+" monitor"))
	other := strings.TrimSpace(shared.sh(t, "kubectl create token -n "+ns+" default"))
	if code, _ := shared.nodeAPI(t, "/metrics/probes", ""); code != http.StatusUnauthorized {
		t.Errorf("nobody gets %d", code)
	}
	if code, body := shared.nodeAPI(t, "/metrics/probes", other); code != http.StatusForbidden || !strings.Contains(body, "subresource(s)=[metrics]") {
		t.Errorf("somebody else gets %d %s", code, body)
	}
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=jsonpath='{.status.containerStatuses[0].started}'=true --timeout=45s")
	uid := shared.field(t, ns, "pod/p", "{.metadata.uid}")
	labels := func(kind, result string) string {
		return fmt.Sprintf(`prober_probe_total{container="c",namespace=%q,pod="p",pod_uid=%q,probe_type=%q,result=%q} `, ns, uid, kind, result)
	}
	eventually(t, 20*time.Second, func() error {
		_, page := shared.nodeAPI(t, "/metrics/probes", monitor)
		for _, want := range []string{
			labels("Startup", "successful") + "1\n", labels("Liveness", "successful"), labels("Readiness", "failed"),
			fmt.Sprintf(`prober_probe_duration_seconds_count{container="c",namespace=%q,pod="p",probe_type="Liveness"} `, ns),
		} {
			if !strings.Contains(page, want) {
				return fmt.Errorf("lacks %s:\n%s", want, tail(page, 20))
			}
		}
		return nil
	})
	shared.sh(t, "kubectl delete pod -n "+ns+" p --timeout=30s")
	eventually(t, 20*time.Second, func() error {
		if _, page := shared.nodeAPI(t, "/metrics/probes", monitor); strings.Contains(page, ns) {
			return errors.New("the pod is gone, and its series are there")
		}
		return nil
	})
}
