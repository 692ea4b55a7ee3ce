package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// loadedPod shows an object of each kind, in two volumes.
const loadedPod = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  automountServiceAccountToken: false
  containers:
  - name: main
    image: busybox
    command: [sleep, "3600"]
    volumeMounts:
    - {name: config, mountPath: /etc/app}
    - {name: identity, mountPath: /run/identity}
  volumes:
  - name: config
    configMap: {name: app}
  - name: identity
    projected:
      sources:
      - secret: {name: db}
      - configMap: {name: app, items: [{key: mode, path: mode}]}
      - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 7200}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
`

// loaded starts the pod above in a namespace of the test's own, and returns the
// beginning of kubectl commands there.
func loaded(t testing.TB, s *system) (ns, k string) {
	t.Helper()
	ns = s.namespace(t)
	k = "kubectl -n " + ns + " "
	s.sh(t, k+"create configmap app --from-literal=mode=fast && "+k+"create secret generic db --from-literal=password=hunter2")
	s.apply(t, ns, loadedPod)
	s.running(t, ns, "web")
	return ns, k
}

// condition waits until InStep has a reason, and returns its message.
func (s *system) condition(t testing.TB, ns, pod, reason string) string {
	t.Helper()
	at := `{.status.conditions[?(@.type=="InStep")].%s}`
	eventually(t, 15*time.Second, func() error {
		out, err := s.command(t, "kubectl", "get", "-n", ns, "podprojection", pod, "-o", "jsonpath="+fmt.Sprintf(at, "reason")).CombinedOutput()
		if got := string(out); err != nil || got != reason {
			return fmt.Errorf("InStep is %q (%v), want %q", got, err, reason)
		}
		return nil
	})
	return s.field(t, ns, "podprojection/"+pod, fmt.Sprintf(at, "message"))
}

func TestPodProjectionShowsWhatIsLoaded(t *testing.T) {
	t.Parallel()
	s := shared
	ns, k := loaded(t, s)
	contains(t, s.condition(t, ns, "web", "Published"), "5 of 5 sources in step")
	table := s.sh(t, k+"get podprojections")
	if ok := regexp.MustCompile(`(?m)^NAME +VOLUMES +IN STEP +PUBLISHED +NEXT ROTATION +AGE\nweb +config,identity +5/5 +\d+m?s +(95m|94m|96m) +`).MatchString(table); !ok {
		t.Errorf("table:\n%s", table)
	}
	contains(t, s.sh(t, k+"get pproj -o wide"), "NODE", "LAST ACTION", "PROBLEM", "<none>")
	contains(t, s.sh(t, k+"describe podprojection web"), "Published Version:", "Rotation Time:", "Audience:", "hmac-sha256:", "5 of 5 sources in step")
	contains(t, s.sh(t, "kubectl explain podprojections.status.volumes.sources.publishedVersion"), "metadata.resourceVersion")
	contains(t, s.sh(t, "kubectl api-resources --api-group=projection.laterna.dev"), "pproj", "projection.laterna.dev/v1alpha1", "PodProjection")
	s.sh(t, k+`wait --for=condition=InStep --timeout=5s podprojection/web`)

	end := decode(t, s.exec(t, ns, "web", "cat", "/run/identity/token")).Expiry
	shown, err := time.Parse(time.RFC3339, s.field(t, ns, "pproj/web", `{.status.volumes[?(@.name=="identity")].tokens[0].expirationTime}`))
	if err != nil || shown.Unix() != end {
		t.Errorf("the token ends at %s, the object says %s (%v)", time.Unix(end, 0), shown, err)
	}
	owner := s.field(t, ns, "pproj/web", "{.metadata.ownerReferences[0].uid}")
	if uid := s.field(t, ns, "pod/web", "{.metadata.uid}"); owner != uid {
		t.Errorf("owned by %s, the pod is %s", owner, uid)
	}
	if raw := s.sh(t, k+"get pproj web -o yaml --show-managed-fields"); strings.Contains(raw, "hunter2") || strings.Contains(raw, "aHVudGVyMg") {
		t.Error("a secret is in the object")
	}
	info, err := os.Stat(filepath.Join(s.Dir, "podprojection.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key of the digests: %v, %v", info, err)
	}
}

// TestPodProjectionCanBeWaitedFor writes a ConfigMap and waits until every volume that
// shows it does so in the new version.
func TestPodProjectionCanBeWaitedFor(t *testing.T) {
	t.Parallel()
	s := shared
	ns, k := loaded(t, s)
	before := s.field(t, ns, "pproj/web", `{.status.volumes[?(@.name=="identity")].digest}`)
	s.sh(t, k+`patch configmap app -p '{"data":{"mode":"safe"}}'`)
	version := s.field(t, ns, "configmap/app", "{.metadata.resourceVersion}")
	s.sh(t, k+`wait --timeout=10s --for=jsonpath='{.status.volumes[?(@.name=="config")].sources[0].publishedVersion}'=`+version+` podprojection/web`)
	s.sh(t, k+`wait --timeout=10s --for=jsonpath='{.status.volumes[?(@.name=="identity")].sources[?(@.name=="app")].publishedVersion}'=`+version+` podprojection/web`)
	for _, file := range []string{"/etc/app/mode", "/run/identity/mode"} {
		if got := s.exec(t, ns, "web", "cat", file); got != "safe" {
			t.Errorf("%s holds %q when the wait is over", file, got)
		}
	}
	after := s.field(t, ns, "pproj/web", `{.status.volumes[?(@.name=="identity")].digest}`)
	if before == after || len(before) != len(after) {
		t.Errorf("digest %s became %s", before, after)
	}
	generation := s.field(t, ns, "pproj/web", `{.status.volumes[?(@.name=="config")].generation}`)
	if link := strings.TrimSpace(s.exec(t, ns, "web", "readlink", "/etc/app/..data")); link != generation {
		t.Errorf("..data leads to %s, the object says %s", link, generation)
	}
	// Back to what it was: the files are the same, and so is what is said of them.
	s.sh(t, k+`patch configmap app -p '{"data":{"mode":"fast"}}'`)
	eventually(t, 10*time.Second, func() error {
		if got := s.field(t, ns, "pproj/web", `{.status.volumes[?(@.name=="identity")].digest}`); got != before {
			return fmt.Errorf("digest %s, want that of before, %s", got, before)
		}
		return nil
	})
}

func TestPodProjectionShowsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := shared
	ns, k := loaded(t, s)
	s.sh(t, k+"delete configmap app")
	contains(t, s.condition(t, ns, "web", "Problem"), "3 of 5 sources in step", `volume "config"`, `configmap "app" not found`)
	contains(t, s.sh(t, k+"get pproj -o wide"), "3/5", `config: configmap "app" not found`)
	if got := s.exec(t, ns, "web", "cat", "/etc/app/mode"); got != "fast" {
		t.Errorf("the old data is gone: %q", got)
	}
	s.sh(t, k+"create configmap app --from-literal=mode=new")
	s.condition(t, ns, "web", "Published")
	if got := s.exec(t, ns, "web", "cat", "/etc/app/mode"); got != "new" {
		t.Errorf("mode is %q", got)
	}
}

func TestPodProjectionGoesWithItsPod(t *testing.T) {
	t.Parallel()
	s := shared
	ns, k := loaded(t, s)
	gone := func(name string) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			if out := s.sh(t, k+"get podprojection --ignore-not-found "+name); out != "" {
				return fmt.Errorf("it is still there:\n%s", out)
			}
			return nil
		})
	}
	s.condition(t, ns, "web", "Published")
	s.sh(t, k+"delete pod web --grace-period=1")
	gone("web")

	s.apply(t, ns, loadedPod)
	s.running(t, ns, "web")
	s.condition(t, ns, "web", "Published")
	s.sh(t, k+"delete pod web --force --grace-period=0 --wait=false 2>/dev/null")
	gone("web")

	// A node that is not there cleans nothing up: the server does.
	s.apply(t, ns, "apiVersion: v1\nkind: Pod\nmetadata: {name: far}\nspec: {nodeName: nowhere, containers: [{name: c, image: busybox}]}")
	uid := s.field(t, ns, "pod/far", "{.metadata.uid}")
	s.apply(t, ns, fmt.Sprintf(`
apiVersion: projection.laterna.dev/v1alpha1
kind: PodProjection
metadata:
  name: far
  ownerReferences: [{apiVersion: v1, kind: Pod, name: far, uid: %s}]
spec: {nodeName: nowhere}`, uid))
	s.sh(t, k+"delete pod far --force --grace-period=0 2>/dev/null")
	gone("far")
}

func TestPodProjectionRights(t *testing.T) {
	t.Parallel()
	s := shared
	ns, k := loaded(t, s)
	s.condition(t, ns, "web", "Published")
	s.sh(t, k+"create serviceaccount viewer && "+k+"create rolebinding viewer --clusterrole=view --serviceaccount="+ns+":viewer")
	as := k + "--as=system:serviceaccount:" + ns + ":viewer "
	eventually(t, 5*time.Second, func() error {
		if out, err := s.command(t, "bash", "-c", as+"get pproj").CombinedOutput(); err != nil || !strings.Contains(string(out), "web") {
			return fmt.Errorf("view cannot read: %s", out)
		}
		return nil
	})
	for _, what := range []string{
		"label pproj web a=b", `patch pproj web --type=merge -p '{"status":{"volumes":[]}}'`, "delete pproj web",
	} {
		contains(t, s.fails(t, as+what), "Forbidden", "podprojections")
	}
	contains(t, s.fails(t, k+"--as=system:serviceaccount:"+ns+":nobody get pproj"), "Forbidden")
	contains(t, s.fails(t, k+`patch pproj web --type=merge -p '{"spec":{"nodeName":"other"}}'`), "field is immutable")

	// What somebody deletes is written again when something changes.
	s.sh(t, k+"delete pproj web && "+k+`patch configmap app -p '{"data":{"mode":"again"}}'`)
	s.condition(t, ns, "web", "Published")
}

// ofARun are the parts of the page's outputs that differ from run to run.
var ofARun = regexp.MustCompile(`hmac-sha256:[0-9a-f]{64}|\.\.20[0-9_]+\.\d+|"20[0-9T:-]+Z"|"\d+"|\b\d+m?s\b|\b9\d+m\b|nodeName: \S+| +`)

// TestPodProjectionPage pastes the page's commands, in a namespace of the test's own.
func TestPodProjectionPage(t *testing.T) {
	t.Parallel()
	s := shared
	const page = "docs/podprojection.md"
	steps := example(t, page)
	if len(steps) < 10 {
		t.Fatalf("only %d commands in %s", len(steps), page)
	}
	ns := s.namespace(t)
	config := filepath.Join(t.TempDir(), "kubeconfig")
	s.sh(t, "kubectl config view --raw > "+config+" && kubectl --kubeconfig "+config+" config set-context --current --namespace="+ns)
	node := strings.TrimSpace(s.field(t, ns, "nodes", "{.items[0].metadata.name}"))
	settle := func(text string) string {
		text = strings.ReplaceAll(strings.ReplaceAll(text, ns, "default"), " "+node+" ", " vm ")
		return ofARun.ReplaceAllString(text, " ~ ")
	}
	for _, step := range steps {
		cmd := s.command(t, "bash", "-c", step.command)
		cmd.Dir, cmd.Env = "../..", append(cmd.Env, "KUBECONFIG="+config)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("$ %s: %v\n%s", step.command, err, out)
		}
		if got := string(out); settle(got) != settle(step.output) {
			t.Errorf("$ %s\nprints\n%s\nthe page shows\n%s", step.command, got, step.output)
		}
	}
}
