package compat

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// releases is a system on which charts are installed by test/tools/helm.
type releases struct {
	*system
	program, chart string
}

func newReleases(t *testing.T) *releases {
	t.Helper()
	program := tool(t, "helm")
	chart, err := filepath.Abs("../tools/helm/chart")
	if err != nil {
		t.Fatal(err)
	}
	s := prepared(t)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.sh(t, `laterna image import --data-dir "$LATERNA_DATA_DIR" `+filepath.Join(imageDir, "busybox-1.28.tar"))
	return &releases{s, program, chart}
}

// line is a command of helm, on the chart where CHART stands.
func (r *releases) line(args string) string {
	return r.program + " -n stalls " + strings.ReplaceAll(args, "CHART", r.chart)
}

// helm runs a command that succeeds, and failing one that fails.
func (r *releases) helm(t *testing.T, args string) string { t.Helper(); return r.sh(t, r.line(args)) }
func (r *releases) failing(t *testing.T, args string) string {
	t.Helper()
	return r.fails(t, r.line(args))
}

// is fails unless a field of an object of the releases is as wanted.
func (r *releases) is(t *testing.T, object, path, want string) {
	t.Helper()
	if got := r.field(t, "stalls", object, path); got != want {
		t.Errorf("%s of %s is %q, want %q", path, object, got, want)
	}
}

// TestChartsOfHelm has Helm install, upgrade, roll back and remove a chart with hooks,
// tests, a definition with objects, and all kinds that charts have.
func TestChartsOfHelm(t *testing.T) {
	t.Parallel()
	r := newReleases(t)
	r.installs(t)
	password := r.field(t, "stalls", "secret/berry", "{.data.password}")
	r.upgrades(t)
	r.comesBack(t)
	r.meetsOthers(t)
	r.is(t, "secret/berry", "{.data.password}", password)
	r.uninstalls(t)
	r.byAnAdminOfTheNamespace(t)
}

// installs tries the chart with a hook that fails, without effect, and in earnest.
func (r *releases) installs(t *testing.T) {
	t.Helper()
	r.sh(t, "kubectl create namespace stalls")
	// A hook that fails fails the release, whose objects do not come, or go again.
	said := r.failing(t, "install berry CHART --set prepared=false --rollback-on-failure --timeout 20s")
	contains(t, said, "failed pre-install", "has been uninstalled due to rollback-on-failure being set")
	if out := r.sh(t, "kubectl get -n stalls deployments,services,secrets -o name"); out != "" {
		t.Errorf("of what is not installed there are %s", out)
	}
	contains(t, r.helm(t, "install berry CHART --dry-run=server"), "configmaps: MQ==", "able: true true false", "server: \"v1.37.2+laterna.")
	contains(t, r.helm(t, "install berry CHART --wait --timeout 40s"), "STATUS: deployed", "berry is at http://stall.example.com in revision 1.", "Laterna runs no ingress controller")
	contains(t, r.sh(t, "kubectl logs -n stalls job/berry-prepare"), "prepared")
	contains(t, r.fails(t, "kubectl get -n stalls configmap berry-prepare"), "NotFound")
	r.is(t, "deployment/berry", "{.status.availableReplicas} {.metadata.managedFields[0].manager} {.metadata.managedFields[0].operation} {.metadata.labels.app\\.kubernetes\\.io/managed-by}", "1 helm Apply Helm")
	r.is(t, "flavours", "{.items[*].metadata.name} {.items[*].spec.scoops}", "berry-lemon berry-vanilla 1 1")
	for _, kind := range []string{"serviceaccount", "role", "rolebinding", "service", "ingress", "networkpolicy", "hpa", "pdb", "configmap", "secret"} {
		r.is(t, kind+"/berry", "{.metadata.annotations.meta\\.helm\\.sh/release-name}", "berry")
	}
	contains(t, r.helm(t, "test berry --logs"), "Phase:          Succeeded", "welcome to berry, revision 1")
}

// upgrades changes values; a hook runs afterwards.
func (r *releases) upgrades(t *testing.T) {
	t.Helper()
	r.helm(t, "upgrade berry CHART --set replicas=2,greeting=hello --wait --timeout 40s")
	contains(t, r.sh(t, "kubectl logs -n stalls job/berry-migrate"), "migrated to 2")
	r.is(t, "deployment/berry", "{.status.readyReplicas} {.status.updatedReplicas}", "2 2")
	contains(t, r.helm(t, "test berry --logs"), "hello to berry, revision 2")
}

// comesBack fails upgrades, of which one comes back by itself and one by a command.
func (r *releases) comesBack(t *testing.T) {
	t.Helper()
	said := r.failing(t, "upgrade berry CHART --set image=busybox:0.1 --rollback-on-failure --timeout 4s")
	contains(t, said, "resource Deployment/stalls/berry not ready", "has been rolled back due to rollback-on-failure being set")
	r.is(t, "deployment/berry", "{.spec.template.spec.containers[0].image} {.spec.replicas}", "busybox:1.28 2")
	said = r.failing(t, "upgrade berry CHART --set service.port=70000,greeting=lost")
	contains(t, said, `Service "berry" is invalid: spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive`)
	r.helm(t, "rollback berry 2 --wait --timeout 40s")
	r.is(t, "configmap/berry", "{.data.index\\.html}", "hello to berry, revision 2\n")
	history := []string{"superseded Install complete", "superseded Upgrade complete", "failed Upgrade \"berry\" failed", "superseded Rollback to 2", "failed Upgrade \"berry\" failed", "deployed Rollback to 2"}
	out := r.helm(t, `history berry -o json | python3 -c 'import json, sys; [print(r["status"], r["description"].split("\n")[0]) for r in json.load(sys.stdin)]'`)
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if i >= len(history) || !strings.HasPrefix(line, history[i]) {
			t.Errorf("revision %d is %q, want %q", i+1, line, history)
		}
	}
	r.is(t, "secrets", `{.items[?(@.metadata.name=="sh.helm.release.v1.berry.v6")].type}`, "helm.sh/release.v1")
}

// meetsOthers changes what others have changed in between.
func (r *releases) meetsOthers(t *testing.T) {
	t.Helper()
	r.sh(t, "kubectl scale -n stalls deployment berry --replicas 3")
	said := r.failing(t, "upgrade berry CHART --set replicas=1")
	contains(t, said, `Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas`)
	r.helm(t, "upgrade berry CHART --set replicas=1,flavours={lemon} --force-conflicts --wait --timeout 40s")
	r.is(t, "deployment/berry", "{.status.replicas} {.status.readyReplicas}", "1 1")
	// What the chart no longer has goes.
	r.is(t, "flavours", "{.items[*].metadata.name} {.items[*].spec.taste}", "berry-lemon sweet")
	r.sh(t, "kubectl delete -n stalls service berry")
	r.helm(t, "upgrade berry CHART --reuse-values")
	contains(t, r.helm(t, "test berry --logs"), "welcome to berry, revision 9")
}

// uninstalls removes the release; what is to be kept stays, and so do definitions.
func (r *releases) uninstalls(t *testing.T) {
	t.Helper()
	contains(t, r.helm(t, "uninstall berry --wait --timeout 40s"), "[ConfigMap] berry-books", `release "berry" uninstalled`)
	contains(t, r.sh(t, "kubectl logs -n stalls job/berry-close"), "closed")
	out := r.sh(t, "kubectl get -n stalls deployments,services,secrets,ingresses,networkpolicies,hpa,pdb,flavours,roles,rolebindings -o name && kubectl get -n stalls configmap berry-books -o name && kubectl get crd -o name")
	if out != "configmap/berry-books\ncustomresourcedefinition.apiextensions.k8s.io/flavours.stalls.example.com\n" {
		t.Errorf("there are\n%s", out)
	}
	if out := r.helm(t, "list -q"); out != "" {
		t.Errorf("there are releases %s", out)
	}
}

// byAnAdminOfTheNamespace has somebody install, as clients patched before apply was the
// server's, whose rights are those of the role admin in one namespace.
func (r *releases) byAnAdminOfTheNamespace(t *testing.T) {
	t.Helper()
	r.sh(t, "kubectl create rolebinding -n stalls ann --clusterrole=admin --user=ann && kubectl delete -n stalls configmap berry-books")
	contains(t, r.failing(t, "install cherry CHART --kube-as-user ann"), `User "ann" cannot patch resource "customresourcedefinitions"`)
	contains(t, r.failing(t, "install cherry CHART --skip-crds --kube-as-user ann"), `User "ann" cannot`, `resource "flavours" in API group "stalls.example.com"`)
	r.apply(t, "stalls", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: flavours, labels: {rbac.authorization.k8s.io/aggregate-to-admin: \"true\"}}\n"+
		"rules: [{apiGroups: [stalls.example.com], resources: [flavours], verbs: [\"*\"]}]\n")
	eventually(t, 10*time.Second, func() error {
		if out, err := r.command(t, "kubectl", "auth", "can-i", "create", "flavours.stalls.example.com", "-n", "stalls", "--as", "ann").CombinedOutput(); err != nil {
			return fmt.Errorf("can ann create flavours: %s", out)
		}
		return nil
	})
	r.helm(t, "uninstall cherry --ignore-not-found --no-hooks")
	r.helm(t, "install cherry CHART --skip-crds --server-side=false --wait --timeout 40s --kube-as-user ann")
	r.sh(t, "kubectl label -n stalls deployment cherry theirs=1")
	r.helm(t, "upgrade cherry CHART --server-side=false --set replicas=2,flavours={mint} --wait --timeout 40s --kube-as-user ann")
	r.is(t, "deployment/cherry", "{.status.readyReplicas} {.metadata.labels.theirs} {.metadata.managedFields[0].operation}", "2 1 Update")
	r.is(t, "flavours", "{.items[*].metadata.name}", "cherry-mint")
	r.helm(t, "uninstall cherry --wait --timeout 40s --kube-as-user ann")
}
