package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// guestbook is an application of three parts that know each other by the names of their
// services. Upstream's parts are a program of its own; here they are scripts behind
// busybox's web server: the primary keeps what is written, replicas fetch it to be read,
// the frontend sends writers to the one and readers to the others.
const guestbook = `
apiVersion: v1
kind: ConfigMap
metadata: {name: guestbook}
data:
  primary: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    case $QUERY_STRING in
    cmd=set*) echo -n "${QUERY_STRING##*value=}" > /tmp/entry; echo '{"message": "Updated"}';;
    *) echo "{\"data\":\"$(cat /tmp/entry 2>/dev/null)\"}";;
    esac
  replica: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    wget -qO- "http://agnhost-primary:6379/cgi-bin/primary?cmd=get"
  frontend: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    case $QUERY_STRING in
    cmd=set*) wget -qO- "http://agnhost-primary:6379/cgi-bin/primary?$QUERY_STRING";;
    *) wget -qO- "http://agnhost-replica:6379/cgi-bin/replica";;
    esac
`

// guestbookPart is a service of the guestbook and the deployment behind it.
const guestbookPart = `
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, labels: {app: %[2]s, tier: backend}}
spec: {ports: [{port: %[3]d}], selector: {app: %[2]s, role: %[1]s}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[4]d
  selector: {matchLabels: {app: %[2]s, role: %[1]s}}
  template:
    metadata: {labels: {app: %[2]s, role: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: main, image: "busybox:1.28", command: [httpd, -f, -p, "%[3]d", -h, /www], ports: [{containerPort: %[3]d}], volumeMounts: [{name: scripts, mountPath: /www/cgi-bin}]}
      volumes: [{name: scripts, configMap: {name: guestbook, defaultMode: 0555}}]
`

func TestConformanceKubectlGuestbook(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-cli] Kubectl client Guestbook application should create and stop a working application", func(t *testing.T) {
		all := guestbook + fmt.Sprintf(guestbookPart, "agnhost-primary", "agnhost", 6379, 1) +
			fmt.Sprintf(guestbookPart, "agnhost-replica", "agnhost", 6379, 2) + fmt.Sprintf(guestbookPart, "frontend", "guestbook", 80, 3)
		create := s.command(t, "kubectl", "create", "-n", s.ns, "-f", "-")
		create.Stdin = strings.NewReader(all)
		if out, err := create.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s.sh(t, "kubectl rollout status -n "+s.ns+" deployment/frontend --timeout=120s")
		asked := func(query, want string) {
			t.Helper()
			eventually(t, 60*time.Second, func() error {
				got, err := s.client.CoreV1().Services(s.ns).ProxyGet("http", "frontend", "80", "/cgi-bin/frontend", parameters(query)).DoRaw(t.Context())
				if err != nil || strings.TrimSpace(string(got)) != want {
					return fmt.Errorf("%s: %q, %w, want %s", query, got, err, want)
				}
				return nil
			})
		}
		asked("cmd=get", `{"data":""}`)
		asked("cmd=set&key=messages&value=TestEntry", `{"message": "Updated"}`)
		asked("cmd=get", `{"data":"TestEntry"}`)
		stop := s.command(t, "kubectl", "delete", "-n", s.ns, "--grace-period=0", "--force", "-f", "-")
		stop.Stdin = strings.NewReader(all)
		if out, err := stop.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if left := s.sh(t, "kubectl get -n "+s.ns+" deployments,services -o name"); strings.TrimSpace(left) != "" {
			t.Errorf("left are %s", left)
		}
	})
}

// parameters are those of a query, in the form of the client.
func parameters(query string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	return all
}
