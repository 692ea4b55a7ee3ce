package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// environment is what `env` prints in a container.
func (s *system) environment(t testing.TB, namespace, pod, container string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(s.sh(t, fmt.Sprintf("kubectl exec -n %s %s -c %s -- env", namespace, pod, container))) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		out[name] = value
	}
	return out
}

// has fails unless an environment has these values; "-" is a variable that must be
// absent.
func has(t testing.TB, env, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, ok := env[name]
		if want[name] == "-" {
			if ok {
				t.Errorf("%s=%q, want no such variable", name, got)
			}
		} else if !ok || got != want[name] {
			t.Errorf("%s=%q (set: %t), want %q", name, got, ok, want[name])
		}
	}
}

const manyKindsPod = `
apiVersion: v1
kind: Pod
metadata: {name: kinds}
spec:
  resources:
    requests: {cpu: 20m, memory: 32Mi}
    limits: {memory: 64Mi}
  containers:
  - name: main
    image: busybox:1.28
    command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]
    resources: {limits: {memory: 16Mi}}
    envFrom:
    - {configMapRef: {name: settings}}
    - {prefix: "s 1.", secretRef: {name: hidden}}
    - {prefix: NO_, configMapRef: {name: none, optional: true}}
    env:
    - {name: "a b:c/d", value: "$(COLOUR) $$(COLOUR) $(LATER) $(open"}
    - {name: "1.x-y", value: "$(a b:c/d)!"}
    - {name: LATER, value: "$(DB_SERVICE_HOST)"}
    - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: HOST_IPS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
    - {name: POD_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
    - {name: OLD_NODE, valueFrom: {fieldRef: {fieldPath: spec.host}}}
    - {name: OWN_MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: BARE_MEMORY, valueFrom: {resourceFieldRef: {containerName: bare, resource: limits.memory, divisor: 1Mi}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: STORAGE, valueFrom: {resourceFieldRef: {resource: limits.ephemeral-storage}}}
  - name: bare
    image: busybox:1.28
    command: [sleep, "3600"]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{name: sql, port: 5432}, {name: dns-udp, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {COLOUR: red, LATER: from the ConfigMap, DB_SERVICE_PORT: "1"}
binaryData: {BINARY: AAAA}
`

// TestEnvironmentOfEveryKind starts one pod whose Secret is missing at first.
func TestEnvironmentOfEveryKind(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	k := "kubectl -n " + ns + " "
	s.apply(t, ns, manyKindsPod)
	eventually(t, 20*time.Second, func() error {
		waiting := s.field(t, ns, "pod/kinds", `{.status.containerStatuses[?(@.name=="main")].state.waiting}`)
		if !strings.Contains(waiting, "CreateContainerConfigError") || !strings.Contains(waiting, `secret \"hidden\" not found`) {
			return fmt.Errorf("waiting: %s", waiting)
		}
		return nil
	})
	s.sh(t, k+"create secret generic hidden --from-literal=key=value")
	s.running(t, ns, "kinds")

	node := s.field(t, ns, "pod/kinds", "{.spec.nodeName}")
	ip := s.field(t, ns, "service/db", "{.spec.clusterIP}")
	env := s.environment(t, ns, "kinds", "main")
	has(t, env, map[string]string{
		"COLOUR": "red", "s 1.key": "value", "BINARY": "-", "NO_COLOUR": "-",
		"a b:c/d": "red $(COLOUR) from the ConfigMap $(open", "1.x-y": "red $(COLOUR) from the ConfigMap $(open!", "LATER": ip,
		"HOST_IP": s.field(t, ns, "pod/kinds", "{.status.hostIP}"), "HOST_IPS": s.field(t, ns, "pod/kinds", "{.status.hostIPs[*].ip}"),
		"POD_IPS": s.field(t, ns, "pod/kinds", "{.status.podIPs[*].ip}"), "OLD_NODE": node,
		"OWN_MEMORY": "16", "BARE_MEMORY": "64",
		"DB_SERVICE_HOST": ip, "DB_SERVICE_PORT": "1", "DB_SERVICE_PORT_SQL": "5432", "DB_SERVICE_PORT_DNS_UDP": "53",
		"DB_PORT": "tcp://" + ip + ":5432", "DB_PORT_53_UDP": "udp://" + ip + ":53", "DB_PORT_53_UDP_ADDR": ip,
		"HEADLESS_SERVICE_HOST": "-", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
	})
	cpus := s.field(t, ns, "node/"+node, "{.status.allocatable.cpu}")
	if env["CPU"] != cpus+"000" || env["STORAGE"] == "" || env["STORAGE"] == "0" {
		t.Errorf("limits from the node: %s m of %s CPUs, %s bytes", env["CPU"], cpus, env["STORAGE"])
	}
	limit := s.sh(t, k+`exec kinds -c bare -- sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max'`)
	if strings.TrimSpace(limit) != "67108864" {
		t.Errorf("the group of the container without a limit allows %s", limit)
	}

	s.sh(t, k+`patch configmap settings -p '{"data":{"COLOUR":"blue"}}'`)
	has(t, s.environment(t, ns, "kinds", "main"), map[string]string{"COLOUR": "red"})
	// The command may go with its container, so how it ends says nothing.
	s.command(t, "kubectl", "exec", "-n", ns, "kinds", "-c", "main", "--", "kill", "1").Run()
	eventually(t, 20*time.Second, func() error {
		if n := s.field(t, ns, "pod/kinds", `{.status.containerStatuses[?(@.name=="main")].restartCount}`); n != "1" {
			return fmt.Errorf("%s restarts", n)
		}
		return nil
	})
	s.running(t, ns, "kinds")
	has(t, s.environment(t, ns, "kinds", "main"), map[string]string{"COLOUR": "blue"})
}

const filePod = `
apiVersion: v1
kind: Pod
metadata: {name: files}
spec:
  containers:
  - name: reader
    image: busybox:1.28
    command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]
    env:
    - {name: KEY, valueFrom: {fileKeyRef: {volumeName: data, path: sub/app.env, key: KEY}}}
    - {name: PEM, valueFrom: {fileKeyRef: {volumeName: data, path: sub/app.env, key: the pem}}}
    - {name: NO_KEY, valueFrom: {fileKeyRef: {volumeName: data, path: sub/app.env, key: NONE, optional: true}}}
    - {name: NO_FILE, valueFrom: {fileKeyRef: {volumeName: data, path: none.env, key: KEY, optional: true}}}
    - {name: USED, value: "$(KEY)"}
  - name: writer
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes:
  - {name: data, emptyDir: {}}
`

// TestVariablesFromFiles has one container wait for what another one writes.
func TestVariablesFromFiles(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.apply(t, ns, filePod)
	waits := func(text string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			waiting := s.field(t, ns, "pod/files", `{.status.containerStatuses[?(@.name=="reader")].state.waiting}`)
			if !strings.Contains(waiting, "CreateContainerConfigError") || !strings.Contains(waiting, text) {
				return fmt.Errorf("waiting: %s", waiting)
			}
			return nil
		})
	}
	write := func(script string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			return s.command(t, "kubectl", "exec", "-n", ns, "files", "-c", "writer", "--", "sh", "-c", script).Run()
		})
	}
	waits(`couldn't parse env file \"sub/app.env\" in volume \"data\": no such file`)
	write(`mkdir /data/sub; ln -s /etc/passwd /data/sub/app.env`)
	waits("the path leads out of the volume")
	write(`rm /data/sub/app.env; echo KEY=value > /data/sub/app.env`)
	waits("at line 1: value must be enclosed in single quotes")
	write(`echo "OTHER='x'" > /data/sub/app.env`)
	waits(`environment variable key \"KEY\" not found in file \"sub/app.env\"`)
	contains(t, s.sh(t, "kubectl describe pod -n "+ns+" files"), "Error: couldn't parse env file")

	begun := time.Now()
	write(`printf "# c\nKEY='\$(KEY) one' # c\nthe pem='-----BEGIN-----\n a=b\n'\n" > /data/sub/new && mv /data/sub/new /data/sub/app.env`)
	s.running(t, ns, "files")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("ready %s after the file was there", took)
	}
	out := s.sh(t, "kubectl exec -n "+ns+" files -c reader -- env")
	contains(t, out, "KEY=$(KEY) one\n", "USED=$(KEY) one\n", "PEM=-----BEGIN-----\n a=b\n\n")
	if strings.Contains(out, "NO_KEY") || strings.Contains(out, "NO_FILE") {
		t.Errorf("optional variables are set:\n%s", out)
	}

	write(`sed -i s/one/two/ /data/sub/app.env`)
	// The command may end with its container before it can say how it went.
	s.command(t, "kubectl", "exec", "-n", ns, "files", "-c", "reader", "--", "kill", "1").Run()
	eventually(t, 20*time.Second, func() error {
		out, err := s.command(t, "kubectl", "exec", "-n", ns, "files", "-c", "reader", "--", "env").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "KEY=$(KEY) two\n") {
			return fmt.Errorf("after a restart: %v\n%s", err, out)
		}
		return nil
	})

	wrong := strings.NewReplacer("emptyDir: {}", "configMap: {name: x}", "key: NONE", "key: 'a=b'", "path: none.env", "path: ../none.env").Replace(filePod)
	contains(t, s.refused(t, ns, wrong),
		"spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName", "referenced volume must be of type emptyDir",
		"spec.containers[0].env[2].valueFrom.fileKeyRef.key", "spec.containers[0].env[3].valueFrom.fileKeyRef.path", "must not contain '..'")
}

const topologyPod = `
apiVersion: v1
kind: Pod
metadata: {name: where, labels: {topology.kubernetes.io/zone: nowhere, app: a}}
spec:
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    env:
    - {name: ZONE, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}}
    - {name: REGION, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/region']"}}}
    - {name: RACK, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/rack']"}}}
    volumeMounts: [{name: info, mountPath: /info}]
  volumes:
  - name: info
    downwardAPI: {items: [{path: zone, fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}]}
`

// TestPodsKnowTheirZone is not parallel: the node's labels show in every new pod.
func TestPodsKnowTheirZone(t *testing.T) {
	s, ns := shared, shared.namespace(t)
	node := strings.TrimSpace(s.sh(t, "kubectl get nodes -o jsonpath='{.items[0].metadata.name}'"))
	const label = "topology.kubernetes.io/"
	s.sh(t, fmt.Sprintf("kubectl label node %s %szone=z1 %sregion=r1 %srack=k1", node, label, label, label))
	t.Cleanup(func() {
		s.sh(t, fmt.Sprintf("kubectl label node %s %szone- %sregion- %srack-", node, label, label, label))
	})
	s.apply(t, ns, topologyPod)
	s.running(t, ns, "where")
	has(t, s.environment(t, ns, "where", "main"), map[string]string{"ZONE": "z1", "REGION": "r1", "RACK": ""})
	if got := s.exec(t, ns, "where", "cat", "/info/zone"); got != "z1" {
		t.Errorf("the file says %q", got)
	}
	contains(t, s.sh(t, "kubectl get pod -n "+ns+" where --show-labels"), "app=a", label+"zone=z1", label+"region=r1")
}
