package compat

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

const nginxPod = `
apiVersion: v1
kind: Pod
metadata: {name: fortune}
spec:
  containers:
  - name: web-server
    image: nginx:alpine
    volumeMounts:
    - {name: config, mountPath: /etc/nginx/conf.d, readOnly: true}
    - {name: config, mountPath: /etc/one-file.conf, subPath: my-nginx-config.conf}
  - name: curl
    image: tutum/curl
    command: [sleep, "3600"]
  volumes:
  - name: config
    configMap: {name: fortune-config}
`

// encoding asks the pod's nginx for a page and returns the Content-Encoding.
func encoding(t testing.TB, s *system, ns string) string {
	t.Helper()
	out := s.sh(t, "kubectl exec -n "+ns+" fortune -c curl -- curl -s -H 'Accept-Encoding: gzip' -o /dev/null -D - http://localhost/big.txt")
	_, value, _ := strings.Cut(out, "Content-Encoding: ")
	return strings.TrimSpace(strings.SplitN(value+"\r", "\r", 2)[0])
}

func TestB20UpdateInARunningPod(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	k := "kubectl -n " + ns + " "
	s.sh(t, "cd "+writeFortuneConfig(t, "on")+" && "+k+"create configmap fortune-config --from-file=configmap-files")
	s.apply(t, ns, nginxPod)
	s.running(t, ns, "fortune")
	s.sh(t, k+"exec fortune -c web-server -- sh -c 'yes laterna | head -n 5000 > /usr/share/nginx/html/big.txt; ln -s /etc/nginx/conf.d/my-nginx-config.conf /tmp/link'")
	if got := encoding(t, s, ns); got != "gzip" {
		t.Fatalf("before the update: Content-Encoding %q, want gzip", got)
	}

	// `kubectl edit` with an editor that does what the reader does by hand.
	s.sh(t, `KUBE_EDITOR="sed -i 's/gzip on/gzip off/'" `+k+"edit configmap fortune-config")
	eventually(t, 5*time.Second, func() error {
		if got := s.sh(t, k+"exec fortune -c web-server -- cat /etc/nginx/conf.d/my-nginx-config.conf"); !strings.Contains(got, "gzip off") {
			return fmt.Errorf("the file holds %s", got)
		}
		return nil
	})
	contains(t, s.sh(t, k+"exec fortune -c web-server -- cat /tmp/link"), "gzip off")
	contains(t, s.sh(t, k+"exec fortune -c web-server -- cat /etc/one-file.conf"), "gzip on")
	if got := encoding(t, s, ns); got != "gzip" {
		t.Errorf("before the reload: Content-Encoding %q, want gzip still", got)
	}
	s.sh(t, k+"exec fortune -c web-server -- nginx -s reload")
	eventually(t, 10*time.Second, func() error {
		if got := encoding(t, s, ns); got != "" {
			return fmt.Errorf("after the reload: Content-Encoding %q", got)
		}
		return nil
	})
	if restarts := s.field(t, ns, "pod/fortune", "{.status.containerStatuses[*].restartCount}"); restarts != "0 0" {
		t.Errorf("restarts %q", restarts)
	}
}

func TestB21VolumeLayout(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	k := "kubectl -n " + ns + " "
	s.sh(t, "cd "+writeFortuneConfig(t, "on")+" && "+k+"create configmap fortune-config --from-file=configmap-files")
	s.apply(t, ns, nginxPod)
	s.running(t, ns, "fortune")
	list := func() string { return s.sh(t, k+"exec fortune -c web-server -- ls -lA /etc/nginx/conf.d") }
	layout := regexp.MustCompile(`\.\.data -> (\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+)\n`)
	before := layout.FindStringSubmatch(list())
	if before == nil {
		t.Fatalf("no ..data → ..<timestamp>.<n> in\n%s", list())
	}
	contains(t, list(), "my-nginx-config.conf -> ..data/my-nginx-config.conf", "sleep-interval -> ..data/sleep-interval")
	s.sh(t, k+`patch configmap fortune-config -p '{"data":{"sleep-interval":"1","my-nginx-config.conf":null,"added":"x"}}'`)
	eventually(t, 5*time.Second, func() error {
		out := list()
		after := layout.FindStringSubmatch(out)
		if after == nil || after[1] == before[1] || strings.Contains(out, "my-nginx-config.conf ->") || !strings.Contains(out, "added -> ..data/added") {
			return fmt.Errorf("layout after the update:\n%s", out)
		}
		return nil
	})
}
