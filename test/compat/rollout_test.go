package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// rolledWeb is a Deployment that keeps three pods of busybox.
const rolledWeb = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {kubernetes.io/change-cause: the first}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: "busybox:1.28", command: [sleep, "3600"]}
`

func TestB22RolloutOfADeployment(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	in := func(line string) string { return s.sh(t, "kubectl -n "+ns+" "+line) }
	s.apply(t, ns, rolledWeb)
	matches(t, in("rollout status deployment/web --timeout=60s"), `deployment "web" successfully rolled out`)
	matches(t, in("get deployments -o wide"), `NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR`, `web +3/3 +3 +3 +\S+ +main +busybox:1.28 +app=web`)
	hash := s.field(t, ns, "rs", `{.items[0].metadata.labels.pod-template-hash}`)
	matches(t, in("get all"), `pod/web-`+hash+`-[a-z0-9]{5} +1/1 +Running +0 +\S+`, `deployment.apps/web +3/3 +3 +3 +\S+`, `replicaset.apps/web-`+hash+` +3 +3 +3 +\S+`)
	matches(t, in("get rs -o wide"), `NAME +DESIRED +CURRENT +READY +AGE +CONTAINERS +IMAGES +SELECTOR`, `web-`+hash+` +3 +3 +3 +\S+ +main +busybox:1.28 +app=web,pod-template-hash=`+hash)

	matches(t, in("set image deployment/web main=busybox:latest"), `deployment.apps/web image updated`)
	in("annotate deployment/web kubernetes.io/change-cause='the second' --overwrite")
	matches(t, in("rollout status deployment/web --timeout=60s"), `deployment "web" successfully rolled out`)
	matches(t, in("rollout history deployment/web"), `deployment.apps/web `, `REVISION +CHANGE-CAUSE`, `1 +the first`, `2 +the second`)
	matches(t, in("rollout history deployment/web --revision=1"), `deployment.apps/web with revision #1`, ` +Image:\s+busybox:1.28`)
	described := in("describe deployment web")
	matches(t, described, `Name: +web`, `Selector: +app=web`, `Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable`, `StrategyType: +RollingUpdate`,
		`RollingUpdateStrategy: +25% max unavailable, 25% max surge`, ` +Available +True +MinimumReplicasAvailable`, ` +Progressing +True +NewReplicaSetAvailable`,
		`OldReplicaSets: +web-`+hash+` \(0/0 replicas created\)`, `NewReplicaSet: +web-\S+ \(3/3 replicas created\)`,
		` +Normal +ScalingReplicaSet +\S+ +deployment-controller +Scaled up replica set web-`+hash+` from 0 to 3`,
		` +Normal +ScalingReplicaSet +.* deployment-controller +Scaled down replica set web-`+hash+` from \d to \d`)
	matches(t, in("describe rs web-"+hash), `Controlled By: +Deployment/web`, `Replicas: +0 current / 0 desired`, ` +deployment.kubernetes.io/revision: 1`,
		` +Normal +SuccessfulCreate +\S+ +replicaset-controller +Created pod: web-`+hash+`-[a-z0-9]{5}`)

	matches(t, in("rollout undo deployment/web"), `deployment.apps/web rolled back`)
	in("rollout status deployment/web --timeout=60s")
	matches(t, in("rollout history deployment/web"), `2 +the second`, `3 +.*`)
	if got := s.field(t, ns, "rs/web-"+hash, `{.spec.replicas} {.metadata.annotations.deployment\.kubernetes\.io/revision-history}`); got != "3 1" {
		t.Errorf("what was undone to has %s", got)
	}
	contains(t, s.fails(t, "kubectl -n "+ns+" rollout undo deployment/web --to-revision=9"), "unable to find specified revision 9 in history")

	matches(t, in("rollout pause deployment/web"), `deployment.apps/web paused`)
	contains(t, s.fails(t, "kubectl -n "+ns+" rollout restart deployment/web"), "can't restart paused deployment (run rollout resume first)")
	in("set env deployment/web A=b")
	matches(t, in("scale deployment/web --replicas=1 --timeout=60s"), `deployment.apps/web scaled`)
	eventually(t, stepTimeout, func() error {
		if got := s.field(t, ns, "deployment/web", `{.status.replicas} {.status.updatedReplicas} {.status.conditions[?(@.type=="Progressing")].reason}`); got != "1  DeploymentPaused" {
			return fmt.Errorf("paused: %s", got)
		}
		return nil
	})
	matches(t, in("rollout resume deployment/web"), `deployment.apps/web resumed`)
	in("rollout status deployment/web --timeout=60s")
	if got := in("exec deployment/web -- sh -c 'echo $A'"); got != "b\n" {
		t.Errorf("A is %q", got)
	}
	matches(t, in("rollout restart deployment/web"), `deployment.apps/web restarted`)
	matches(t, in("rollout status deployment/web --timeout=60s"), `deployment "web" successfully rolled out`)
	if got := s.field(t, ns, "deployment/web", `{.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt}`); got == "" {
		t.Error("the template has no time of the restart")
	}
	matches(t, in("expose deployment/web --port=80 --target-port=8080"), `service/web exposed`)
	if got := s.field(t, ns, "service/web", "{.spec.selector.app} {.spec.ports[0].targetPort}"); got != "web 8080" {
		t.Errorf("the service has %s", got)
	}
	in("patch deployment/web -p " + `'{"spec":{"progressDeadlineSeconds":1,"template":{"spec":{"containers":[{"name":"main","image":"none.example/none:1"}]}}}}'`)
	contains(t, s.fails(t, "kubectl -n "+ns+" rollout status deployment/web --timeout=60s"), `deployment "web" exceeded its progress deadline`)
	matches(t, in("delete deployment web"), `deployment.apps "web" deleted from `+ns+` namespace`)
}

// examplesOf runs the manifest and the commands of a page of docs in a namespace, and returns what
// the commands print.
func examplesOf(t *testing.T, ns, page string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, rest, _ := strings.Cut(string(raw), "```"+language+"\n")
		text, _, _ := strings.Cut(rest, "```")
		return text
	}
	shared.apply(t, ns, block("yaml"))
	return shared.sh(t, "set -e; NAMESPACE="+ns+"; kubectl() { command kubectl -n "+ns+" \"$@\"; }\n"+block("bash"))
}

// TestTheExampleOfDeployments runs docs/deployments.md.
func TestTheExampleOfDeployments(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	examplesOf(t, ns, "deployments.md")
	if got := shared.field(t, ns, "deployment/web", `{.status.availableReplicas} {.spec.template.spec.containers[0].image} {.metadata.annotations.deployment\.kubernetes\.io/revision}`); got != "2 busybox:1.28 4" {
		t.Errorf("in the end %s", got)
	}
}

// TestTheExampleOfServices runs docs/services.md.
func TestTheExampleOfServices(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	out := examplesOf(t, ns, "services.md")
	if ip := shared.field(t, ns, "service/hello", "{.spec.clusterIP}"); !strings.Contains(out, ip) || strings.Count(out, "\nhello-") != 3 {
		t.Errorf("want the address %s, and a pod's name three times:\n%s", ip, out)
	}
}
