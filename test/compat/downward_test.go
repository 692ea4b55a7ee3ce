package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const downPod = `
apiVersion: v1
kind: Pod
metadata:
  name: down
spec:
  containers:
  - name: main
    image: busybox
    command: ["sleep", "9999999"]
    resources:
      requests: {cpu: 15m, memory: 100Ki}
      limits: {cpu: 100m, memory: 4Mi}
    env:
    - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: SERVICE_ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - name: CONTAINER_CPU_REQUEST_MILLICORES
      valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}
    - name: CONTAINER_MEMORY_LIMIT_KIBIBYTES
      valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Ki}}
`

func TestB10DownwardEnvironment(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, downPod)
	shared.running(t, ns, "down")
	env := map[string]string{}
	for line := range strings.Lines(shared.exec(t, ns, "down", "env")) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"POD_NAME": "down", "POD_NAMESPACE": ns, "SERVICE_ACCOUNT": "default",
		"POD_IP":                           shared.field(t, ns, "pod/down", "{.status.podIP}"),
		"NODE_NAME":                        shared.field(t, ns, "pod/down", "{.spec.nodeName}"),
		"CONTAINER_CPU_REQUEST_MILLICORES": "15",
		"CONTAINER_MEMORY_LIMIT_KIBIBYTES": "4096",
		"KUBERNETES_SERVICE_PORT":          "443",
	} {
		if env[name] != want || want == "" {
			t.Errorf("%s=%q, want %q", name, env[name], want)
		}
	}
}

const downwardPod = `
apiVersion: v1
kind: Pod
metadata:
  name: downward
  labels:
    foo: bar
  annotations:
    key1: value1
    key2: |
      multi
      line
      value
spec:
  containers:
  - name: main
    image: busybox
    command: ["sleep", "9999999"]
    resources:
      requests: {cpu: 15m, memory: 100Ki}
      limits: {cpu: 100m, memory: 4Mi}
    volumeMounts:
    - {name: downward, mountPath: /etc/downward}
  volumes:
  - name: downward
    downwardAPI:
      items:
      - {path: podName, fieldRef: {fieldPath: metadata.name}}
      - {path: podNamespace, fieldRef: {fieldPath: metadata.namespace}}
      - {path: labels, fieldRef: {fieldPath: metadata.labels}}
      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
      - path: containerCpuRequestMilliCores
        resourceFieldRef: {containerName: main, resource: requests.cpu, divisor: 1m}
      - path: containerMemoryLimitBytes
        resourceFieldRef: {containerName: main, resource: limits.memory, divisor: 1}
`

func TestB11DownwardVolume(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, downwardPod)
	s.running(t, ns, "downward")
	for file, want := range map[string]string{
		"podName": "downward", "podNamespace": ns, "labels": `foo="bar"`,
		"containerCpuRequestMilliCores": "15", "containerMemoryLimitBytes": "4194304",
	} {
		if got := s.exec(t, ns, "downward", "cat", "/etc/downward/"+file); got != want {
			t.Errorf("%s holds %q, want %q", file, got, want)
		}
		sizeMode := strings.TrimSpace(s.exec(t, ns, "downward", "stat", "-L", "-c", "%s %a %u:%g", "/etc/downward/"+file))
		if want := fmt.Sprintf("%d 644 0:0", len(want)); sizeMode != want {
			t.Errorf("%s: size, mode, owner %q, want %q", file, sizeMode, want)
		}
	}
	contains(t, s.exec(t, ns, "downward", "cat", "/etc/downward/annotations"),
		`key1="value1"`, `key2="multi\nline\nvalue\n"`, `kubernetes.io/config.seen="`, `kubernetes.io/config.source="api"`)

	s.sh(t, "kubectl -n "+ns+" label pod downward extra=1 && kubectl -n "+ns+" annotate pod downward key1=changed --overwrite")
	eventually(t, 5*time.Second, func() error {
		both := s.exec(t, ns, "downward", "sh", "-c", "cat /etc/downward/labels /etc/downward/annotations")
		if !strings.Contains(both, `extra="1"`) || !strings.Contains(both, `key1="changed"`) {
			return fmt.Errorf("files hold %s", both)
		}
		return nil
	})
	nameless := strings.Replace(strings.Replace(downwardPod, "containerName: main, ", "", 1), "name: downward\n  labels", "name: nameless\n  labels", 1)
	contains(t, s.refused(t, ns, nameless), "spec.volumes[0].downwardAPI", "containerName", "Required value")
}

const fortuneEnvPod = `
apiVersion: v1
kind: Pod
metadata: {name: fortune-env}
spec:
  containers:
  - name: html-generator
    image: luksa/fortune:env
    command: [sh, -c, "echo '$(INTERVAL) $(FIRST)$(MISSING)' > /tmp/args; exec sleep 3600"]
    env:
    - {name: INTERVAL, valueFrom: {configMapKeyRef: {name: fortune-config, key: sleep-interval}}}
    - {name: FOO_SECRET, valueFrom: {secretKeyRef: {name: fortune-https, key: foo}}}
    - {name: ABSENT, valueFrom: {secretKeyRef: {name: fortune-https, key: nope, optional: true}}}
    - {name: FIRST, value: "every $(INTERVAL) s $$(INTERVAL)"}
    envFrom:
    - prefix: CONFIG_
      configMapRef: {name: fortune-config}
`

func TestB15EnvironmentFromObjects(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	k := "kubectl -n " + ns + " "
	shared.sh(t, k+"create configmap fortune-config --from-literal=sleep-interval=25")
	shared.sh(t, k+"create secret generic fortune-https --from-literal=foo=bar")
	shared.apply(t, ns, fortuneEnvPod)
	shared.running(t, ns, "fortune-env")
	env := shared.exec(t, ns, "fortune-env", "env")
	contains(t, env, "INTERVAL=25\n", "FOO_SECRET=bar\n", "CONFIG_sleep-interval=25\n", "FIRST=every 25 s $(INTERVAL)\n")
	if strings.Contains(env, "ABSENT") {
		t.Error("an optional key that is missing is set")
	}
	if got := shared.exec(t, ns, "fortune-env", "cat", "/tmp/args"); got != "25 every 25 s $(INTERVAL)$(MISSING)\n" {
		t.Errorf("arguments expand to %q", got)
	}
	shared.sh(t, k+"patch configmap fortune-config -p '{\"data\":{\"sleep-interval\":\"1\"}}'")
	contains(t, shared.exec(t, ns, "fortune-env", "env"), "INTERVAL=25\n")

	missing := strings.NewReplacer("fortune-env", "waits", "key: foo", "key: later").Replace(fortuneEnvPod)
	shared.apply(t, ns, missing)
	eventually(t, 20*time.Second, func() error {
		reason := shared.field(t, ns, "pod/waits", "{.status.containerStatuses[0].state.waiting}")
		if !strings.Contains(reason, "CreateContainerConfigError") || !strings.Contains(reason, "couldn't find key later in Secret "+ns+"/fortune-https") {
			return fmt.Errorf("waiting: %s", reason)
		}
		return nil
	})
	shared.sh(t, k+"patch secret fortune-https -p '{\"stringData\":{\"later\":\"now\"}}'")
	shared.running(t, ns, "waits")
}
