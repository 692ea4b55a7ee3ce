package pod

import (
	"context"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/registry/resource"
)

// status returns a pod from the YAML of its spec and status.
func withStatus(t *testing.T, spec, status string) *corev1.Pod {
	t.Helper()
	p := withSpec(t, spec)
	p.Status = *parse[corev1.PodStatus](t, status)
	p.CreationTimestamp = metav1.NewTime(time.Now().Add(-90 * time.Second))
	return p
}

func TestRow(t *testing.T) {
	const two = "containers: [{name: a, image: i}, {name: b, image: i}]"
	const init = "initContainers: [{name: i, image: i}, {name: j, image: i}]\n" + two
	const sidecar = "initContainers: [{name: s, image: i, restartPolicy: Always}]\n" + two
	for _, c := range []struct {
		name, spec, status string
		want               []any // ready, status, restarts
	}{
		{"pending", two, "phase: Pending", []any{"0/2", "Pending", "0"}},
		{"creating", two, "{phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ContainerCreating}}}, {name: b, state: {waiting: {reason: ContainerCreating}}}]}", []any{"0/2", "ContainerCreating", "0"}},
		{"running", two, "{phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {}}}, {name: b, ready: true, state: {running: {}}}]}", []any{"2/2", "Running", "0"}},
		{"the first container counts", two, "{phase: Running, containerStatuses: [{name: a, state: {waiting: {reason: CrashLoopBackOff}}}, {name: b, state: {terminated: {reason: Error}}}]}", []any{"0/2", "CrashLoopBackOff", "0"}},
		{"status reason", two, "{phase: Failed, reason: Evicted}", []any{"0/2", "Evicted", "0"}},
		{"gated", two + "\nschedulingGates: [{name: a}]", "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}", []any{"0/2", "SchedulingGated", "0"}},
		{"exit code", two, "{phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 3}}}]}", []any{"0/2", "ExitCode:3", "0"}},
		{"signal", two, "{phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 137, signal: 9}}}]}", []any{"0/2", "Signal:9", "0"}},
		{"completed", two, "{phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {reason: Completed}}}, {name: b, state: {terminated: {reason: Completed}}}]}", []any{"0/2", "Completed", "0"}},
		{"one completed, one ready", two, "{phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: a, state: {terminated: {reason: Completed}}}, {name: b, ready: true, state: {running: {}}}]}", []any{"1/2", "Running", "0"}},
		{"one completed, pod not ready", two, "{phase: Running, containerStatuses: [{name: a, state: {terminated: {reason: Completed}}}, {name: b, ready: true, state: {running: {}}}]}", []any{"1/2", "NotReady", "0"}},
		{"restarts", two, "{phase: Running, containerStatuses: [{name: a, ready: true, restartCount: 2, state: {running: {}}}, {name: b, ready: true, restartCount: 1, state: {running: {}}}]}", []any{"2/2", "Running", "3"}},
		{"first init container", init, "{phase: Pending, initContainerStatuses: [{name: i, state: {waiting: {reason: PodInitializing}}}]}", []any{"0/2", "Init:0/2", "0"}},
		{"second init container", init, "{phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 0}}}, {name: j, state: {running: {}}}]}", []any{"0/2", "Init:1/2", "0"}},
		{"init container failed", init, "{phase: Pending, initContainerStatuses: [{name: i, restartCount: 2, state: {terminated: {exitCode: 3, reason: Error}}}]}", []any{"0/2", "Init:Error", "2"}},
		{"init container exited", init, "{phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 3}}}]}", []any{"0/2", "Init:ExitCode:3", "0"}},
		{"init container killed", init, "{phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 3, signal: 9}}}]}", []any{"0/2", "Init:Signal:9", "0"}},
		{"init container waits", init, "{phase: Pending, initContainerStatuses: [{name: i, state: {waiting: {reason: ImagePullBackOff}}}]}", []any{"0/2", "Init:ImagePullBackOff", "0"}},
		{"sidecar", sidecar, "{phase: Running, initContainerStatuses: [{name: s, ready: true, started: true, restartCount: 1, state: {running: {}}}], containerStatuses: [{name: a, ready: true, state: {running: {}}}]}", []any{"2/3", "Running", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := withStatus(t, c.spec, c.status)
			cells := row(p)
			if got := cells[1:4]; !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if len(cells) != len(columns().Columns) || cells[0] != "pod" || cells[4] != "90s" {
				t.Errorf("cells %v", cells)
			}
		})
	}
}

func TestRowOfDeletedPod(t *testing.T) {
	deleted := metav1.Now()
	for status, want := range map[string]string{
		"phase: Running":                          "Terminating",
		"{phase: Running, reason: NodeLost}":      "Unknown",
		"{phase: Succeeded}":                      "Succeeded",
		"{phase: Failed, reason: DeadlinePassed}": "DeadlinePassed",
	} {
		p := withStatus(t, oneContainer, status)
		p.DeletionTimestamp = &deleted
		if got := row(p)[2]; got != want {
			t.Errorf("%s: %v, want %s", status, got, want)
		}
	}
}

func TestRestartsSayWhen(t *testing.T) {
	p := withStatus(t, oneContainer, "{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: 4, state: {running: {}}}]}")
	p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(time.Now().Add(-5 * time.Minute))}
	if got := row(p)[3]; got != "4 (5m ago)" {
		t.Errorf("restarts %q", got)
	}
}

func TestWideCells(t *testing.T) {
	none := []any{"<none>", "<none>", "<none>", "<none>"}
	if got := row(withStatus(t, oneContainer, "phase: Pending"))[5:]; !reflect.DeepEqual(got, none) {
		t.Errorf("wide cells %v", got)
	}
	p := withStatus(t, oneContainer+"\nnodeName: node\nreadinessGates: [{conditionType: a}, {conditionType: b}, {conditionType: c}]",
		"{phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}], nominatedNodeName: m, conditions: [{type: a, status: 'True'}, {type: b, status: 'False'}]}")
	if got, want := row(p)[5:], []any{"10.0.0.1", "node", "m", "1/3"}; !reflect.DeepEqual(got, want) {
		t.Errorf("wide cells %v, want %v", got, want)
	}
}

func TestTable(t *testing.T) {
	env := newEnv(t)
	store, err := resource.New(Definition(), env)
	if err != nil {
		t.Fatal(err)
	}
	list := &corev1.PodList{Items: []corev1.Pod{
		*withStatus(t, oneContainer, "phase: Running"),
		*withStatus(t, oneContainer, "phase: Succeeded"),
		*withStatus(t, oneContainer, "phase: Failed"),
	}}
	table, err := store.ConvertToTable(context.Background(), list, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	wide := 0
	for _, c := range table.ColumnDefinitions {
		names = append(names, c.Name)
		if c.Priority > 0 {
			wide++
		}
	}
	if want := []string{"Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"}; !reflect.DeepEqual(names, want) || wide != 4 {
		t.Errorf("columns %q, %d of them wide", names, wide)
	}
	var messages []string
	for _, r := range table.Rows {
		text := ""
		for _, c := range r.Conditions {
			if c.Type == metav1.RowCompleted && c.Status == metav1.ConditionTrue {
				text = c.Reason + ": " + c.Message
			}
		}
		messages = append(messages, text)
	}
	if want := []string{"", "Succeeded: The pod has completed successfully.", "Failed: The pod failed."}; !reflect.DeepEqual(messages, want) {
		t.Errorf("row conditions %q", messages)
	}
	var _ runtime.Object = table
}
