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
)

const seenPods = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {note: "two\nlines"}}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - {name: first, image: "busybox:1.28", command: ["true"]}
  containers:
  - name: main
    image: busybox:1.28
    command: [sh, -c, "echo started; exec sleep 100000"]
    env:
    - {name: INTERVAL, valueFrom: {configMapKeyRef: {name: settings, key: interval}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: LITERAL, value: text}
    envFrom: [{secretRef: {name: passwords, optional: true}}]
    ports: [{containerPort: 80, name: http}]
    readinessProbe: {exec: {command: ["true"]}}
    resources: {limits: {cpu: 100m, memory: 32Mi}}
    volumeMounts:
    - {name: all, mountPath: /all, readOnly: true}
    - {name: scratch, mountPath: /scratch}
  volumes:
  - {name: scratch, emptyDir: {medium: Memory, sizeLimit: 8Mi}}
  - name: all
    projected:
      sources:
      - configMap: {name: settings}
      - secret: {name: passwords, optional: true}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
      - serviceAccountToken: {path: token, audience: vault}
---
apiVersion: v1
kind: Pod
metadata: {name: done}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, "echo all is done"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, "echo no luck | tee /dev/termination-log; exit 4"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, "echo once more; sleep 0.3; exit 5"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: homeless}
spec:
  nodeSelector: {nowhere: to-be-found}
  containers: [{name: main, image: "busybox:1.28"}]
---
apiVersion: v1
kind: Pod
metadata: {name: unsettled}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.28", env: [{name: X, valueFrom: {configMapKeyRef: {name: absent, key: x}}}]}]
`

// matches fails unless a text has a line for each pattern.
func matches(t testing.TB, text string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)^" + pattern + "$").MatchString(text) {
			t.Errorf("no line is %q in\n%s", pattern, text)
		}
	}
}

func TestB22TablesDescriptionsLogsAndDeletion(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	in := func(line string) string { return s.sh(t, "kubectl -n "+ns+" "+line) }
	in("create configmap settings --from-literal=interval=10")
	s.apply(t, ns, seenPods)
	s.running(t, ns, "web")
	var table string
	rows := []string{
		`NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES`,
		`web +1/1 +Running +0 +\S+ +\d+\.\d+\.\d+\.\d+ +\S+ +<none> +<none>`,
		`done +0/1 +Completed +0 +\S+ .*`,
		`broken +0/1 +Error +0 +\S+ .*`,
		`again +0/1 +(CrashLoopBackOff|Error) +[1-9]\d* \(\S+ ago\) +\S+ .*`,
		`homeless +0/1 +Pending +0 +\S+ +<none> +<none> +<none> +<none>`,
		`unsettled +0/1 +CreateContainerConfigError +0 +\S+ .*`,
	}
	eventually(t, 30*time.Second, func() error {
		table = in("get pods -o wide")
		for _, row := range rows {
			if !regexp.MustCompile("(?m)^" + row + "$").MatchString(table) {
				return fmt.Errorf("no row is %q", row)
			}
		}
		return nil
	})
	matches(t, in("get pods"), `NAME +READY +STATUS +RESTARTS +AGE`, `done +0/1 +Completed +0 +\S+`)
	matches(t, in("get configmap,secret,serviceaccount"), `NAME +DATA +AGE`, `configmap/settings +1 +\S+`, `configmap/kube-root-ca.crt +1 +\S+`, `serviceaccount/default +\S+`)
	matches(t, in("get node -o wide"), `NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME`, `\S+ +Ready +<none> +\S+ +v1\.37\.\S+ +[\d.]+ +<none> +.* +containerd://\S+`)

	node := in("get pod web -o jsonpath={.spec.nodeName}")
	matches(t, in("describe pod web"), `Name: +web`, `Namespace: +`+ns, `Service Account: +default`, `Node: +`+node+`/[\d.]+`, `Labels: +app=web`, `Status: +Running`,
		`Init Containers:`, ` +Reason: +Completed`, ` +Container ID: +containerd://[0-9a-f]{64}`, ` +Image: +busybox:1.28`, ` +Port: +80/TCP \(http\)`, ` +State: +Running`, ` +Restart Count: +0`,
		` +cpu: +100m`, ` +memory: +32Mi`, ` +Readiness: +exec \[true\] delay=0s timeout=1s period=10s successThreshold=1 failureThreshold=3`,
		` +passwords +Secret +Optional: true`, ` +INTERVAL: +<set to the key 'interval' of config map 'settings'> +Optional: false`, ` +POD_IP: +\(v1:status.podIP\)`, ` +LITERAL: +text`,
		` +/all from all \(ro\)`, ` +/scratch from scratch \(rw\)`, ` +Ready +True `, ` +PodScheduled +True `,
		` +Type: +EmptyDir \(a temporary directory that shares a pod's lifetime\)`, ` +SizeLimit: +8Mi`, ` +TokenExpirationSeconds: +3600`, ` +ConfigMapName: +settings`,
		`QoS Class: +Burstable`, `Tolerations: +node.kubernetes.io/not-ready:NoExecute op=Exists for 300s`,
		` +Normal +Scheduled +\S+ +default-scheduler +Successfully assigned `+ns+`/web to `+node, ` +Normal +Started +\S+ +kubelet +spec.containers\{main\}: Container started`)
	matches(t, in("describe pod broken"), `Status: +Failed`, ` +Reason: +Error`, ` +Message: +no luck`, ` +Exit Code: +4`)
	matches(t, in("describe pod homeless"), `Status: +Pending`, ` +PodScheduled +False `, ` +Warning +FailedScheduling +\S+.* default-scheduler +0/\d+ nodes are available: .*node\(s\) didn't match Pod's node affinity/selector\..*`)
	matches(t, in("describe configmap settings"), `Name: +settings`, `interval:`, `10`)
	matches(t, s.sh(t, "kubectl describe node "+node), `Name: +`+node, `Roles: +<none>`, ` +kubernetes.io/hostname=`+node, `Taints: .*`, ` +HolderIdentity: +`+node,
		` +Ready +True +.* +KubeletReady +kubelet is posting ready status`, `Capacity:`, `Allocatable:`, ` +Container Runtime Version: +containerd://\S+`, ` +Kubelet Version: +v1\.37\.\S+`,
		` +`+ns+` +web +100m \(.*`, `Allocated resources:`, ` +Normal +NodeReady +\S+ +kubelet +Node `+node+` status is now: NodeReady`)
	matches(t, in("events --for pod/homeless"), `LAST SEEN +TYPE +REASON +OBJECT +MESSAGE`, `\S+ +Warning +FailedScheduling +Pod/homeless +0/.*`)
	contains(t, s.fails(t, "kubectl top pod -n "+ns), "error: Metrics API not available")

	if got := in("logs done"); got != "all is done\n" {
		t.Errorf("the log is %q", got)
	}
	contains(t, in("logs again --previous --timestamps"), "once more\n")
	contains(t, in("logs web --all-containers --prefix"), "[pod/web/main] started\n")
	contains(t, s.fails(t, "kubectl -n "+ns+" logs unsettled"), `container "main" in pod "unsettled" is waiting to start: CreateContainerConfigError`)
	contains(t, s.fails(t, "kubectl -n "+ns+" logs web --previous"), `previous terminated container "main" in pod "web" not found`)
	contains(t, s.fails(t, "kubectl -n "+ns+" logs nobody"), `pods "nobody" not found`)
	contains(t, s.fails(t, "kubectl -n "+ns+" exec done -- ls"), "cannot exec into a container in a completed pod; current phase is Succeeded")
	matches(t, in("wait --for=condition=Ready pod/web"), `pod/web condition met`)
	contains(t, s.fails(t, "kubectl -n "+ns+" wait --for=condition=Ready pod/homeless --timeout=100ms"), "timed out waiting for the condition on pods/homeless")

	matches(t, in("delete pod web done"), fmt.Sprintf(`pod "web" deleted from %s namespace`, ns), fmt.Sprintf(`pod "done" deleted from %s namespace`, ns))
	contains(t, s.fails(t, "kubectl -n "+ns+" get pod web"), `Error from server (NotFound): pods "web" not found`)
	contains(t, in("delete pod --all"), `pod "homeless" deleted`)
	contains(t, in("get pods"), "No resources found in "+ns+" namespace.")
}

// TestB22EditAsksAgainAndKeepsWhatItRefuses gives kubectl editors that change the file once.
func TestB22EditAsksAgainAndKeepsWhatItRefuses(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "kubectl -n "+ns+" create configmap settings --from-literal=interval=10")
	s.apply(t, ns, pullerPod("p", "busybox:1.28", ""))
	dir := t.TempDir()
	edit := func(object, change string) string {
		t.Helper()
		editor := filepath.Join(dir, "editor")
		script := "#!/bin/sh\ncp $1 " + dir + "/shown\n[ -e " + dir + "/edited ] && exit\ntouch " + dir + "/edited\n" + change + "\n"
		if err := os.WriteFile(editor, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, "edited"))
		out, _ := s.command(t, "sh", "-c", "TMPDIR="+dir+" KUBE_EDITOR="+editor+" kubectl -n "+ns+" edit "+object).CombinedOutput()
		return string(out)
	}
	matches(t, edit("configmap settings", `sed -i 's/interval: .*/interval: "20"/' $1`), `configmap/settings edited`)
	if got := s.field(t, ns, "configmap/settings", "{.data.interval}"); got != "20" {
		t.Errorf("the edited value is %q", got)
	}
	matches(t, edit("configmap settings", "true"), `Edit cancelled, no changes made.`)
	for what, tt := range map[string]struct{ object, change, why, kept string }{
		"no YAML":       {"configmap settings", "printf 'foo: [' > $1", "The edited file failed validation", "foo: ["},
		"fixed field":   {"pod p", "sed -i 's/- sleep/- nap/' $1", "pod updates may not change fields other than `spec.containers[*].image`", "- nap"},
		"unknown field": {"pod p", `sed -i 's/^spec:/spec:\n  hostnam: x/' $1`, `unknown field "spec.hostnam"`, "hostnam: x"},
		"bad value":     {"configmap settings", `sed -i 's/interval: /"in terval": /' $1`, `Invalid value: "in terval"`, "in terval"},
	} {
		out := edit(tt.object, tt.change)
		shown, _ := os.ReadFile(filepath.Join(dir, "shown"))
		contains(t, out, "is invalid", "error: Edit cancelled, no valid changes were saved.")
		contains(t, string(shown), tt.why, tt.kept)
		_, file, _ := strings.Cut(out, "A copy of your changes has been stored to \"")
		file, _, _ = strings.Cut(file, `"`)
		if kept, err := os.ReadFile(file); err != nil || !strings.Contains(string(kept), tt.kept) {
			t.Errorf("%s: the file that was kept: %v\n%s\nkubectl says\n%s", what, err, kept, out)
		}
	}
	if got := s.field(t, ns, "configmap/settings", "{.data}"); got != `{"interval":"20"}` {
		t.Errorf("after edits that were refused: %s", got)
	}
}

func TestB22ApplyThreeWayAndServerSide(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	in := func(line string) string { return s.sh(t, "kubectl -n "+ns+" "+line) }
	dir := t.TempDir()
	write := func(name, data string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: "+data+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	data := func(want string) {
		t.Helper()
		if got := s.field(t, ns, "configmap/settings", "{.data}"); got != want {
			t.Errorf("data %s, want %s", got, want)
		}
	}
	file := write("mine", "{a: one, b: two}")
	matches(t, in("apply -f "+file), `configmap/settings created`)
	matches(t, in("apply -f "+file), `configmap/settings unchanged`)
	in(`patch configmap settings -p '{"data":{"theirs":"kept"}}'`)
	write("mine", "{a: eins, c: three}")
	differs := s.command(t, "kubectl", "-n", ns, "diff", "-f", file)
	out, _ := differs.CombinedOutput()
	if differs.ProcessState.ExitCode() != 1 {
		t.Errorf("kubectl diff ends with %d", differs.ProcessState.ExitCode())
	}
	matches(t, string(out), `-  a: one`, `-  b: two`, `\+  a: eins`, `\+  c: three`, `   theirs: kept`)
	matches(t, in("apply -f "+file), `configmap/settings configured`)
	data(`{"a":"eins","c":"three","theirs":"kept"}`)
	if out := in("diff -f " + file); out != "" {
		t.Errorf("kubectl diff after kubectl apply:\n%s", out)
	}

	matches(t, in("apply --server-side -f "+file), `configmap/settings serverside-applied`)
	other := write("other", "{a: uno, d: four}")
	refused := s.fails(t, "kubectl -n "+ns+" apply --server-side --field-manager=other -f "+other)
	contains(t, refused, `Apply failed with 1 conflict: conflict with "kubectl": .data.a`, "--force-conflicts")
	data(`{"a":"eins","c":"three","theirs":"kept"}`)
	in("apply --server-side --field-manager=other --force-conflicts -f " + other)
	data(`{"a":"uno","c":"three","d":"four","theirs":"kept"}`)
	write("other", "{a: uno}")
	in("apply --server-side --field-manager=other -f " + other)
	data(`{"a":"uno","c":"three","theirs":"kept"}`)

	s.apply(t, ns, pullerPod("p", "busybox:1.28", ""))
	contains(t, s.refused(t, ns, strings.Replace(pullerPod("p", "busybox:1.28", ""), "100000", "1", 1)), `The Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than`, `-    "100000"`, `+    "1"`)
	contains(t, s.refused(t, ns, strings.Replace(pullerPod("q", "busybox:1.28", ""), "command", "comand", 1)), `strict decoding error: unknown field "spec.containers[0].comand"`)
	contains(t, s.refused(t, ns, "apiVersion: apps/v2\nkind: Nothing\nmetadata: {name: none}\n"), `no matches for kind "Nothing" in version "apps/v2"`)
}

// TestB22CopyOfDirectoriesAndLinks is kubectl cp both ways; it leaves out links on the way
// back and says so.
func TestB22CopyOfDirectoriesAndLinks(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, pullerPod("p", "busybox:1.28", ""))
	s.running(t, ns, "p")
	dir := t.TempDir()
	in := func(line string) string {
		return s.sh(t, "cd "+dir+" && "+strings.ReplaceAll(line, "kubectl ", "kubectl -n "+ns+" "))
	}
	in("mkdir -p tree/below && printf text > tree/file && chmod 640 tree/file && printf '#!/bin/sh\\n' > tree/below/run && chmod 755 tree/below/run && ln -s file tree/link && ln -s /etc/passwd tree/absolute && ln -s below tree/directory")
	if err := os.WriteFile(filepath.Join(dir, "tree", "big"), bytes.Repeat([]byte("0123456789abcde\n"), 2_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	in("kubectl cp tree p:/tmp/tree")
	inside := in("kubectl exec p -- sh -c 'cd /tmp/tree && stat -c \"%n %a %F\" * below/* && readlink absolute && cat link && sha256sum big'")
	sum, _, _ := strings.Cut(in("sha256sum tree/big"), " ")
	matches(t, inside, `file 640 regular file`, `below 755 directory`, `below/run 755 regular file`, `link 777 symbolic link`, `directory 777 symbolic link`, `/etc/passwd`, `text`+sum+`  big`)
	out := in("kubectl cp p:/tmp/tree back 2>&1")
	contains(t, out, `warning: skipping symlink: "back/link" -> "file"`, `warning: skipping symlink: "back/absolute" -> "/etc/passwd"`)
	in("cmp tree/big back/big && cmp tree/file back/file && cmp tree/below/run back/below/run && [ ! -e back/link ]")
	in("kubectl exec p -- tar cf - -C /tmp tree | tar xf - -C . --one-top-level=whole && diff -r --no-dereference tree whole/tree")
	contains(t, s.fails(t, "cd "+dir+" && kubectl -n "+ns+" cp tree/file p:/proc/file"), "command terminated with exit code 1")
	contains(t, s.fails(t, "cd "+dir+" && kubectl -n "+ns+" cp nothing p:/tmp"), "nothing doesn't exist in local filesystem")
}

const shellPod = `
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  restartPolicy: Never
  containers:
  - {name: main, image: "busybox:1.28", command: [sh], stdin: true, tty: true}
  - {name: beside, image: "busybox:1.28", command: [sh, -c, "while sleep 0.1; do echo here; done"]}
`

func TestB22AttachInATerminal(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, shellPod)
	s.running(t, ns, "shell")
	for _, rows := range []uint16{24, 40} { // whoever leaves does not end the shell
		term := openTerminal(t, rows, 80)
		cmd := s.command(t, "kubectl", "attach", "-it", "-n", ns, "shell", "-c", "main")
		term.start(t, cmd)
		term.expect(t, "If you don't see a command prompt, try pressing enter.")
		term.send(t, fmt.Sprintf("for i in $(seq 100); do [ \"$(stty size)\" = '%d 80' ] && break; sleep 0.1; done; stty size; x=$((x+1)); echo visit-$x-of-$$\n", rows))
		term.expect(t, fmt.Sprintf("%d 80", rows))
		term.expect(t, fmt.Sprintf("visit-%d-of-1", map[uint16]int{24: 1, 40: 2}[rows]))
		term.resize(t, cmd, 50, 132)
		term.send(t, "for i in $(seq 100); do [ \"$(stty size)\" = '50 132' ] && break; sleep 0.1; done; stty size\n")
		term.expect(t, "50 132\r\n") // what is typed shows the same on its way
		term.send(t, "\x10\x11")     // kubectl's keys for leaving
		if err := cmd.Wait(); err != nil {
			t.Errorf("leaving kubectl attach: %v", err)
		}
	}
	term := openTerminal(t, 24, 80)
	cmd := s.command(t, "kubectl", "attach", "-it", "-n", ns, "shell")
	term.start(t, cmd)
	term.expect(t, "try pressing enter.")
	term.send(t, "exit 6\n")
	term.expect(t, "Session ended")
	if err := cmd.Wait(); err != nil {
		t.Errorf("kubectl attach: %v", err)
	}
	eventually(t, 20*time.Second, func() error {
		if code := s.field(t, ns, "pod/shell", `{.status.containerStatuses[?(@.name=="main")].state.terminated.exitCode}`); code != "6" {
			return fmt.Errorf("the shell has ended with %q", code)
		}
		return nil
	})
	contains(t, s.fails(t, "timeout 2 kubectl attach -n "+ns+" shell -c beside"), "here\nhere\n")
	contains(t, s.sh(t, "kubectl attach -it -n "+ns+" shell -c beside </dev/null 2>&1 & sleep 2; kill $!; true"), "Unable to use a TTY")
}
