package compat

import (
	"fmt"
	"strings"
	"testing"
)

// divided are the values of limits and requests divided by each divisor that there
// is, rounded up.
var divided = []struct{ name, resource, divisor, want string }{
	{"request-cpu", "requests.cpu", "", "1"}, {"request-cpu-0", "requests.cpu", "0", "1"},
	{"request-cpu-1", "requests.cpu", "1", "1"}, {"request-cpu-1m", "requests.cpu", "1m", "15"},
	{"limit-cpu", "limits.cpu", "", "2"}, {"limit-cpu-0", "limits.cpu", "0", "2"},
	{"limit-cpu-1", "limits.cpu", "1", "2"}, {"limit-cpu-1m", "limits.cpu", "1m", "1250"},

	{"request-memory", "requests.memory", "", "33554433"}, {"request-memory-1", "requests.memory", "1", "33554433"},
	{"request-memory-1k", "requests.memory", "1k", "33555"}, {"request-memory-1ki", "requests.memory", "1Ki", "32769"},
	{"request-memory-1m", "requests.memory", "1M", "34"}, {"request-memory-1mi", "requests.memory", "1Mi", "33"},
	{"request-memory-1g", "requests.memory", "1G", "1"}, {"request-memory-1gi", "requests.memory", "1Gi", "1"},
	{"request-memory-1t", "requests.memory", "1T", "1"}, {"request-memory-1ti", "requests.memory", "1Ti", "1"},
	{"request-memory-1p", "requests.memory", "1P", "1"}, {"request-memory-1pi", "requests.memory", "1Pi", "1"},
	{"request-memory-1e", "requests.memory", "1E", "1"}, {"request-memory-1ei", "requests.memory", "1Ei", "1"},

	{"limit-memory", "limits.memory", "", "68157440"}, {"limit-memory-1", "limits.memory", "1", "68157440"},
	{"limit-memory-1k", "limits.memory", "1k", "68158"}, {"limit-memory-1ki", "limits.memory", "1Ki", "66560"},
	{"limit-memory-1m", "limits.memory", "1M", "69"}, {"limit-memory-1mi", "limits.memory", "1Mi", "65"},
	{"limit-memory-1g", "limits.memory", "1G", "1"}, {"limit-memory-1gi", "limits.memory", "1Gi", "1"},
	{"limit-memory-1t", "limits.memory", "1T", "1"}, {"limit-memory-1ti", "limits.memory", "1Ti", "1"},
	{"limit-memory-1p", "limits.memory", "1P", "1"}, {"limit-memory-1pi", "limits.memory", "1Pi", "1"},
	{"limit-memory-1e", "limits.memory", "1E", "1"}, {"limit-memory-1ei", "limits.memory", "1Ei", "1"},
}

// dividedPod shows resources in the environment, in a downwardAPI volume and in a
// projected one.
func dividedPod() string {
	var env, items strings.Builder
	for _, d := range divided {
		ref := "resource: " + d.resource
		if d.divisor != "" {
			ref += ", divisor: " + d.divisor
		}
		fmt.Fprintf(&env, "    - {name: %s, valueFrom: {resourceFieldRef: {%s}}}\n", d.name, ref)
		fmt.Fprintf(&items, "      - {path: %s, resourceFieldRef: {containerName: main, %s}}\n", d.name, ref)
	}
	return `
apiVersion: v1
kind: Pod
metadata: {name: divided}
spec:
  containers:
  - name: main
    image: busybox
    command: [sleep, "3600"]
    resources:
      requests: {cpu: 15m, memory: "33554433"}
      limits: {cpu: 1250m, memory: 65Mi}
    volumeMounts:
    - {name: own, mountPath: /own}
    - {name: projected, mountPath: /projected}
    env:
` + env.String() + `
  volumes:
  - name: own
    downwardAPI:
      items:
` + items.String() + `
  - name: projected
    projected:
      sources:
      - downwardAPI:
          items:
` + strings.ReplaceAll(items.String(), "      - ", "          - ")
}

func TestB24Divisors(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, dividedPod())
	shared.running(t, ns, "divided")
	var env, files strings.Builder
	for _, d := range divided {
		fmt.Fprintf(&env, "%s=%s\n", d.name, d.want)
		fmt.Fprintf(&files, "%s=%s\n", d.name, d.want)
	}
	if got := shared.exec(t, ns, "divided", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ | grep -E '^(limit|request)-'"); got != env.String() {
		t.Errorf("the environment has\n%s\nwant\n%s", got, env.String())
	}
	for _, dir := range []string{"/own", "/projected"} {
		var names []string
		for _, d := range divided {
			names = append(names, d.name)
		}
		line := "cd " + dir + " && for f in " + strings.Join(names, " ") + "; do echo $f=`cat $f`; done"
		if got := shared.exec(t, ns, "divided", "sh", "-c", line); got != files.String() {
			t.Errorf("%s holds\n%s\nwant\n%s", dir, got, files.String())
		}
	}
}

func TestB24RefusedFields(t *testing.T) {
	s := newStage(t)
	const byteDivisors = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
	const env, volume = "spec.containers[0].env[0].valueFrom", "spec.volumes[0].downwardAPI"
	variable := func(from string) string { return "env: [{name: A, valueFrom: {" + from + "}}]" }
	file := func(from string) string { return "volume {path: a, " + from + "}" }
	for _, tc := range []struct{ name, field, want string }{
		{"all labels as a variable", variable("fieldRef: {fieldPath: metadata.labels}"), env + `.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: `},
		{"all annotations as a variable", variable("fieldRef: {fieldPath: metadata.annotations}"), env + `.fieldRef.fieldPath: Unsupported value: "metadata.annotations": supported values: `},
		{"the pod's address as a file", file("fieldRef: {fieldPath: status.podIP}"), volume + `.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: `},
		{"the node's name as a file", file("fieldRef: {fieldPath: spec.nodeName}"), volume + `.fieldRef.fieldPath: Unsupported value: "spec.nodeName": supported values: `},
		{"thousands of processors", variable("resourceFieldRef: {resource: limits.cpu, divisor: 1k}"),
			env + `.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`},
		{"two processors", file("resourceFieldRef: {containerName: main, resource: requests.cpu, divisor: 2}"),
			volume + `.resourceFieldRef.divisor: Invalid value: "requests.cpu": only divisor's values 1m and 1 are supported with the cpu resource`},
		{"thousandths of a byte", variable("resourceFieldRef: {resource: requests.memory, divisor: 1m}"),
			env + `.resourceFieldRef.divisor: Invalid value: "requests.memory": only divisor's values ` + byteDivisors + ` are supported with the memory resource`},
		{"two mebibytes", file("resourceFieldRef: {containerName: main, resource: limits.memory, divisor: 2Mi}"),
			volume + `.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor's values ` + byteDivisors + ` are supported with the memory resource`},
		{"a file that names no container", file("resourceFieldRef: {resource: limits.cpu}"), volume + `.resourceFieldRef.containerName: Required value`},
	} {
		s.conforms(t, tc.name, func(t *testing.T) {
			pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: refused}\nspec:\n  containers: [{name: main, image: busybox"
			if item, ok := strings.CutPrefix(tc.field, "volume "); ok {
				pod += "}]\n  volumes: [{name: v, downwardAPI: {items: [" + item + "]}}]\n"
			} else {
				pod += ", " + tc.field + "}]\n"
			}
			if said := s.refused(t, s.ns, pod); !strings.Contains(said, tc.want) {
				t.Errorf("refused with\n%s\nwant\n%s", said, tc.want)
			}
		})
	}
}
