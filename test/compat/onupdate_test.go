package compat

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"laterna.dev/laterna/internal/datadir"
)

// onUpdatePod is nginx with its configuration from ConfigMap web, beside a curl; it
// has the rules of a test.
const onUpdatePod = `
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    laterna.dev/on-update: |
%s
spec:
  containers:
  - name: nginx
    image: nginx:alpine
    command: [nginx, -c, /config/nginx.conf, -g, "daemon off;"]
    volumeMounts: [{name: config, mountPath: /config}]
  - name: curl
    image: tutum/curl
    command: [sleep, "3600"]
  volumes:
  - name: config
    configMap: {name: web}
`

const (
	checkNginx  = `      - {volumes: [config], container: nginx, check: [nginx, -t, -c, "$(LATERNA_CANDIDATE)/nginx.conf"]}`
	reloadNginx = `      - {volumes: [config], container: nginx, exec: [nginx, -c, /config/nginx.conf, -s, reload], timeout: 5s}`
	signalNginx = `      - {volumes: [config], container: nginx, signal: SIGHUP}`
)

// gzipConfig is a configuration whose gzip directive is as a test says.
func gzipConfig(gzip string) string {
	return "events {}\nhttp {\n  " + gzip + "\n  gzip_types text/plain;\n  gzip_min_length 100;\n  server { listen 80; root /usr/share/nginx/html; }\n}\n"
}

// web is a namespace with the pod above.
type web struct {
	*system
	t     testing.TB
	ns, k string
}

func newWeb(t testing.TB, gzip string, rules ...string) *web {
	t.Helper()
	w := &web{system: shared, t: t}
	w.ns = w.namespace(t)
	w.k = "kubectl -n " + w.ns + " "
	w.sh(t, w.k+"create configmap web --from-file=nginx.conf="+w.file(gzipConfig(gzip)))
	w.apply(t, w.ns, fmt.Sprintf(onUpdatePod, strings.Join(rules, "\n")))
	return w
}

func (w *web) file(content string) string {
	path := filepath.Join(w.t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// patch changes the gzip directive as `kubectl patch` does.
func (w *web) patch(gzip string) {
	w.t.Helper()
	w.sh(w.t, w.k+fmt.Sprintf(`patch configmap web -p '{"data":{"nginx.conf":%q}}'`, gzipConfig(gzip)))
}

// serves waits until nginx serves with the encoding, "" is none.
func (w *web) serves(encoding string) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, func() error {
		if got := w.encoding(); got != encoding {
			return fmt.Errorf("Content-Encoding is %q, want %q", got, encoding)
		}
		return nil
	})
}

func (w *web) encoding() string {
	w.t.Helper()
	out := w.sh(w.t, w.k+"exec web -c curl -- curl -s -H 'Accept-Encoding: gzip' -o /dev/null -D - http://localhost/big.txt")
	_, value, _ := strings.Cut(out, "Content-Encoding: ")
	return strings.TrimSpace(strings.SplitN(value+"\r", "\r", 2)[0])
}

// ready waits for the pod and gives nginx something to serve.
func (w *web) ready() {
	w.t.Helper()
	w.running(w.t, w.ns, "web")
	w.sh(w.t, w.k+"exec web -c nginx -- sh -c 'yes laterna | head -n 2000 > /usr/share/nginx/html/big.txt'")
	w.serves("gzip")
}

// told waits until `kubectl get events` shows the pod's Event with every part.
func (w *web) told(parts ...string) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, func() error {
		out := w.sh(w.t, w.k+"get events --field-selector involvedObject.name=web")
	lines:
		for line := range strings.Lines(out) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			return nil
		}
		return fmt.Errorf("no event with %q in\n%s", parts, out)
	})
}

// checked waits until the pod's PodProjection has the result of the check.
func (w *web) checked(result string) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, func() error {
		if got := w.field(w.t, w.ns, "podprojection/web", `{.status.volumes[?(@.name=="config")].checks[0].result}`); got != result {
			return fmt.Errorf("the check %s", got)
		}
		return nil
	})
}

func TestUpdateReloadsNginx(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{"exec nginx": reloadNginx, "signal SIGHUP": signalNginx} {
		t.Run(strings.Fields(name)[0], func(t *testing.T) {
			w := newWeb(t, "gzip on;", rule)
			w.ready()
			w.patch("gzip off;")
			w.serves("")
			w.told("Normal", "UpdateApplied", `volume "config" was updated: `+name+" succeeded")
			w.patch("gzip on;")
			w.serves("gzip")
			if n := w.field(t, w.ns, "pod/web", "{.status.containerStatuses[*].restartCount}"); n != "0 0" {
				t.Errorf("restarts %s", n)
			}
		})
	}
}

func TestRejectedUpdateLeavesNginxServing(t *testing.T) {
	t.Parallel()
	w := newWeb(t, "gzip on;", checkNginx, reloadNginx)
	w.ready()
	files := w.sh(t, w.k+"exec web -c nginx -- ls -lA /config")

	w.patch("gzip maybe")
	const why = `invalid number of arguments in "gzip" directive in /config/..`
	w.told("Warning", "UpdateRejected", `volume "config" keeps its files: check nginx ended with exit code 1: `, "[emerg]", why)
	contains(t, w.sh(t, w.k+"describe pod web"), "UpdateRejected", why)
	if now := w.sh(t, w.k+"exec web -c nginx -- ls -lA /config"); now != files {
		t.Errorf("files after the rejection:\n%s\nbefore it:\n%s", now, files)
	}
	contains(t, w.sh(t, w.k+"exec web -c nginx -- cat /config/nginx.conf"), "gzip on;")
	if got := w.encoding(); got != "gzip" {
		t.Errorf("Content-Encoding %q after a rejected update", got)
	}
	w.checked("Rejected")

	w.patch("gzip off;")
	w.serves("")
	w.told("Normal", "UpdateApplied", "exec nginx succeeded")
	w.checked("Succeeded")
}

func TestCrashedContainerGetsTheRepair(t *testing.T) {
	t.Parallel()
	w := newWeb(t, "gzip maybe", checkNginx, "      - {volumes: [config], container: nginx, restart: true}")
	eventually(t, 45*time.Second, func() error {
		// Statuses stand in the order of names: curl, nginx.
		if why := w.field(t, w.ns, "pod/web", "{.status.containerStatuses[1].state.waiting.reason}"); why != "CrashLoopBackOff" {
			return fmt.Errorf("nginx waits for %q", why)
		}
		return nil
	})
	w.patch("gzip on;")
	w.told("Warning", "UpdateNotChecked", `volume "config" is published without its check: container nginx is not running (CrashLoopBackOff)`)
	eventually(t, 8*time.Second, func() error { // sooner than its back-off is over
		if ready := w.field(t, w.ns, "pod/web", "{.status.containerStatuses[1].ready}"); ready != "true" {
			return fmt.Errorf("ready: %s", ready)
		}
		return nil
	})
	w.ready()
}

// moments are the parts of the documentation's outputs that differ from run to run.
var moments = regexp.MustCompile(`\d{4}([/_]\d\d){2}([ _:]\d\d){3}(\.\d+)?|\d+#\d+`)

// TestOnUpdateExample runs the documentation. Its reader is slower than a machine: what
// only looks is tried again.
func TestOnUpdateExample(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	config := filepath.Join(t.TempDir(), "kubeconfig")
	s.sh(t, "kubectl config view --raw > "+config+" && kubectl --kubeconfig "+config+" config set-context --current --namespace "+ns)
	steps := example(t, "docs/on-update.md")
	if len(steps) < 10 {
		t.Fatalf("only %d commands in the example", len(steps))
	}
	for _, step := range steps {
		looks := strings.HasPrefix(step.command, "kubectl exec") || strings.HasPrefix(step.command, "kubectl get events")
		eventually(t, 15*time.Second, func() error {
			cmd := s.command(t, "bash", "-c", step.command)
			cmd.Dir, cmd.Env = "../..", append(s.Environ(), "KUBECONFIG="+config)
			out, _ := cmd.CombinedOutput()
			out = bytes.ReplaceAll(out, []byte("\r"), nil) // of HTTP
			if moments.ReplaceAllString(string(out), "") == moments.ReplaceAllString(step.output, "") {
				return nil
			}
			err := fmt.Errorf("$ %s\nprints\n%s\nthe documentation shows\n%s", step.command, out, step.output)
			if !looks {
				t.Fatal(err)
			}
			return err
		})
	}
}

const restartedPod = `
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    laterna.dev/on-update: "[{volumes: [config], container: main, restart: true}]"
spec:
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; echo began with $(cat /config/value); while :; do sleep 0.1; done"]
    volumeMounts: [{name: config, mountPath: /config}]
  - {name: other, image: busybox, command: [sleep, "3600"]}
  volumes:
  - name: config
    configMap: {name: web}
`

func TestUpdateRestartsAContainer(t *testing.T) {
	t.Parallel()
	w := &web{system: shared, t: t}
	w.ns = w.namespace(t)
	w.k = "kubectl -n " + w.ns + " "
	w.sh(t, w.k+"create configmap web --from-literal=value=1")
	w.apply(t, w.ns, restartedPod)
	w.running(t, w.ns, "web")
	for i := 1; i <= 3; i++ {
		contains(t, w.sh(t, w.k+"logs web -c main"), fmt.Sprint("began with ", i))
		w.sh(t, w.k+fmt.Sprintf(`patch configmap web -p '{"data":{"value":"%d"}}'`, i+1))
		eventually(t, 15*time.Second, func() error {
			if n := w.field(t, w.ns, "pod/web", "{.status.containerStatuses[*].restartCount} {.status.containerStatuses[0].ready}"); n != fmt.Sprint(i, " 0 true") {
				return fmt.Errorf("restarts and readiness %s", n)
			}
			if log := w.sh(t, w.k+"logs web -c main"); !strings.Contains(log, fmt.Sprint("began with ", i+1)) {
				return fmt.Errorf("log %q", log)
			}
			return nil
		})
	}
	w.told("Normal", "Killing", `Container main will be restarted: volume "config" was updated`)
	if out := w.sh(t, w.k+"get events"); strings.Contains(out, "BackOff") {
		t.Errorf("a wanted restart backs off:\n%s", out)
	}
}

const checkedSecretPod = `
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    laterna.dev/on-update: |
      - {volumes: [keys], container: main, check: [sh, -c, 'cat $(LATERNA_CANDIDATE)/key; exit 4']}
spec:
  containers:
  - name: main
    image: busybox
    command: [sleep, "3600"]
    volumeMounts: [{name: keys, mountPath: /keys}]
  volumes:
  - name: keys
    secret: {secretName: keys}
`

func TestRejectedSecretIsNotShown(t *testing.T) {
	t.Parallel()
	w := &web{system: shared, t: t}
	w.ns = w.namespace(t)
	w.k = "kubectl -n " + w.ns + " "
	w.sh(t, w.k+"create secret generic keys --from-literal=key=swordfish-one")
	w.apply(t, w.ns, checkedSecretPod)
	w.running(t, w.ns, "web")
	w.sh(t, w.k+`patch secret keys -p '{"stringData":{"key":"swordfish-two"}}'`)
	w.told("Warning", "UpdateRejected", `volume "keys" keeps its files: check sh ended with exit code 4 (what it printed is not shown, since the volume has secrets or tokens)`)
	contains(t, w.sh(t, w.k+"exec web -- cat /keys/key"), "swordfish-one")
	for _, kind := range []string{"events", "podprojections", "pods"} {
		if out := w.sh(t, w.k+"get "+kind+" -o yaml"); strings.Contains(out, "swordfish") {
			t.Errorf("%s show the secret:\n%s", kind, out)
		}
	}
	if strings.Contains(w.Log(), "swordfish") {
		t.Error("the log shows the secret")
	}
}

func TestBadOnUpdateRulesAreRefused(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "kubectl -n "+ns+" create configmap web --from-literal=nginx.conf=x")
	const field = "metadata.annotations[laterna.dev/on-update]: Invalid value: "
	for rules, want := range map[string]string{
		"      - {volumes: [config], container: nginx, signal: SIGHUB}":              field + `"SIGHUB": line 1, column 49: unknown signal: it can be SIGHUP`,
		"      - {volumes: [config], container: nginx}\n      - {volumes: [x]":       field + `line 2: is not YAML: did not find expected ',' or '}'`,
		signalNginx + "\n      - {volumes: [conf], container: nginx, restart: true}": field + `"conf": line 2, column 14: the pod has no volume "conf", it has config`,
		"      - {volumes: [config], container: curl, signal: HUP}":                  field + `"curl": line 1, column 34: container curl mounts none of the rule's volumes`,
		"      - {volumes: [config], container: nginx, exec: nginx -s reload}":       field + `"nginx -s reload": line 1, column 47: exec is a list of arguments and runs without a shell: write [nginx, -s, reload]`,
		"      - {volumes: [config], container: nginx, restart: true, timeout: 5s}":  field + `"5s": line 1, column 65: timeout is for exec and check, this rule has restart`,
	} {
		if out := s.refused(t, ns, fmt.Sprintf(onUpdatePod, rules)); !strings.Contains(out, want) {
			t.Errorf("refused with\n%s, want\n%s", out, want)
		}
	}
	s.apply(t, ns, fmt.Sprintf(onUpdatePod, signalNginx))
	out := s.fails(t, "kubectl -n "+ns+" annotate pod web --overwrite laterna.dev/on-update='[{volumes: [config]}]'")
	contains(t, out, field+"line 1, column 2: the rule names no container", field+"line 1, column 2: the rule does nothing: add one of signal, exec, restart, check")
}

const boundLater = `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  schedulerName: none
  containers:
  - name: main
    image: busybox
    command: [sleep, "3600"]
    volumeMounts: [{name: config, mountPath: /config}]
  volumes:
  - name: config
    configMap: {name: web}
`

// store writes an annotation of a pod into the store itself, where nobody looks at it:
// a stock API server stores all of them so.
func (w *web) store(pod, annotation, value string) {
	w.t.Helper()
	ctx := w.t.Context()
	dir, err := datadir.Locate(w.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + dir.Socket("etcd")}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer etcd.Close()
	key := "/registry/pods/" + w.ns + "/" + pod
	stored, err := etcd.Get(ctx, key)
	if err != nil || len(stored.Kvs) != 1 {
		w.t.Fatalf("%s: %v, %v", key, stored, err)
	}
	object, _, err := clientscheme.Codecs.UniversalDeserializer().Decode(stored.Kvs[0].Value, nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	object.(*corev1.Pod).Annotations = map[string]string{annotation: value}
	var text bytes.Buffer
	if err := protobuf.NewSerializer(clientscheme.Scheme, clientscheme.Scheme).Encode(object, &text); err != nil {
		w.t.Fatal(err)
	}
	if _, err := etcd.Put(ctx, key, text.String()); err != nil {
		w.t.Fatal(err)
	}
}

// TestStoredBadRulesDoNothing has them from the start of the pod: what users write is
// refused, by a binding too.
func TestStoredBadRulesDoNothing(t *testing.T) {
	t.Parallel()
	w := &web{system: shared, t: t}
	w.ns = w.namespace(t)
	w.k = "kubectl -n " + w.ns + " "
	w.sh(t, w.k+"create configmap web --from-literal=value=1")
	w.apply(t, w.ns, boundLater)
	const rules = "- {volumes: [config], container: main, signal: HUB}"
	binding := func(annotations string) string {
		return "kubectl create --raw /api/v1/namespaces/" + w.ns + "/pods/web/binding -f " + w.file(`{"apiVersion":"v1","kind":"Binding","metadata":{"name":"web"`+annotations+`},
			"target":{"kind":"Node","name":"`+strings.TrimSpace(w.sh(t, "kubectl get nodes -o jsonpath='{.items[0].metadata.name}'"))+`"}}`)
	}
	out := w.fails(t, binding(`,"annotations":{"laterna.dev/on-update":"`+rules+`"}`))
	contains(t, out, `The Binding "web" is invalid: metadata.annotations[laterna.dev/on-update]: Invalid value: "HUB": line 1, column 48: unknown signal`)
	w.store("web", "laterna.dev/on-update", rules)
	w.sh(t, binding(""))
	w.running(t, w.ns, "web")
	w.told("Warning", "OnUpdateInvalid", "annotation laterna.dev/on-update is not honoured: line 1, column 48: unknown signal")
	w.sh(t, w.k+`patch configmap web -p '{"data":{"value":"2"}}'`)
	eventually(t, 5*time.Second, func() error {
		if got := w.sh(t, w.k+"exec web -- cat /config/value"); got != "2" {
			return fmt.Errorf("value %q", got)
		}
		return nil
	})
	out = w.sh(t, w.k+"get events")
	if strings.Contains(out, "UpdateA") || strings.Count(out, "OnUpdateInvalid") != 1 {
		t.Errorf("events\n%s", out)
	}
	w.sh(t, w.k+"annotate pod web x=y") // other changes are not in its way
}

const slowPod = `
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    laterna.dev/on-update: |
      - {volumes: [config], container: main, exec: [sh, -c, "echo began >> /tmp/runs; sleep 3; echo done >> /tmp/runs"]}
spec:
  containers:
  - name: main
    image: busybox
    command: [sleep, "3600"]
    volumeMounts: [{name: config, mountPath: /config}]
  volumes:
  - name: config
    configMap: {name: web}
`

func TestActionsSurviveAKilledAgent(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.sh(t, "kubectl create configmap web --from-literal=value=1")
	s.apply(t, "default", slowPod)
	s.running(t, "default", "web")
	runs := func(want string) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			out, err := s.command(t, "kubectl", "exec", "web", "--", "cat", "/tmp/runs").CombinedOutput()
			if string(out) != want {
				return fmt.Errorf("runs %q (%v), want %q", out, err, want)
			}
			return nil
		})
	}
	s.sh(t, `kubectl patch configmap web -p '{"data":{"value":"2"}}'`)
	runs("began\n")
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	runs("began\nbegan\ndone\n")
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.sh(t, `kubectl patch configmap web -p '{"data":{"value":"3"}}'`)
	runs("began\nbegan\ndone\nbegan\ndone\n")
}
