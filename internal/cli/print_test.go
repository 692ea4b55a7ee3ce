package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/doctor"
	"laterna.dev/laterna/internal/status"
)

func TestShortID(t *testing.T) {
	for id, want := range map[string]string{
		"sha256:0123456789abcdef": "0123456789ab",
		"sha256:0123":             "sha256:0123",
		"":                        "",
	} {
		if got := shortID(id); got != want {
			t.Errorf("shortID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestClockState(t *testing.T) {
	for offset, want := range map[time.Duration]string{
		0:          "the clock is at wall time",
		time.Hour:  "the clock is 1h0m0s ahead of wall time",
		-time.Hour: "the clock is 1h0m0s behind wall time",
	} {
		if got := clockState(offset); got != want {
			t.Errorf("clockState(%s) = %q, want %q", offset, got, want)
		}
	}
}

func TestPrintStatus(t *testing.T) {
	node := func(name string, conditions ...corev1.NodeCondition) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: conditions}}
	}
	var out bytes.Buffer
	printStatus(&out, status.Status{
		DataDir: "/d", Left: 3, Server: "https://[::1]:6443", Version: "v1",
		Nodes: []corev1.Node{
			node("a", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue}),
			node("b", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "no network"}),
			node("c"),
			{ObjectMeta: metav1.ObjectMeta{Name: "d", Annotations: map[string]string{api.ClusterDNSError: "no socket"}}},
		},
		Names:      &status.Names{Service: "10.96.0.10", API: "kubernetes.default.svc.cluster.local"},
		Pods:       map[corev1.PodPhase]int{corev1.PodRunning: 2, corev1.PodPending: 1},
		StoreBytes: 1024, ImageBytes: 2048, Free: 1 << 30,
	})
	want := []string{
		"Data directory:  /d",
		"Left running:    3 processes of containers, which the next start takes over and `laterna down` ends",
		"API server:      v1 at https://[::1]:6443",
		"Node:            a, Ready",
		"Node:            b, NotReady: no network",
		"Node:            c, has not reported yet",
		"Node:            d, has not reported yet",
		"Cluster DNS:     none on node d, whose pods resolve names as the machine does: no socket",
		"Cluster DNS:     10.96.0.10, knows the API as kubernetes.default.svc.cluster.local",
		"Pods:            1 Pending, 2 Running",
		"Disk:            store 1.0 KiB, images 2.0 KiB, 1.0 GiB free",
	}
	if got := strings.Split(strings.TrimSpace(out.String()), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	out.Reset()
	printStatus(&out, status.Status{Version: "v1", Server: "https://h", Pods: map[corev1.PodPhase]int{}})
	if got, want := out.String(), "API server:  v1 at https://h\nPods:        none\n"; got != want {
		t.Errorf("without a data directory:\n%s", got)
	}
}

func TestPrintChecks(t *testing.T) {
	var out bytes.Buffer
	printChecks(&out, []doctor.Check{
		{Name: "one", OK: true, Required: true, Detail: "there"},
		{Name: "two", Required: true, Detail: "gone", Fix: "bring it"},
		{Name: "three", Detail: "slow"},
	})
	const want = "ok       one                there\n" +
		"FAIL     two                gone\n" +
		"                            mend: bring it\n" +
		"note     three              slow\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestEveryLineOfAnErrorNamesTheProgram(t *testing.T) {
	var out, err bytes.Buffer
	code := Main([]string{"server", "--listen", "x", "--cluster-cidr", "y"}, Streams{In: strings.NewReader(""), Out: &out, Err: &err}, apiserver.Version{})
	if code != 1 || out.Len() > 0 {
		t.Errorf("exit code %d, standard output %q", code, out.String())
	}
	lines := strings.Split(strings.TrimSpace(err.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "laterna: --listen: ") || !strings.HasPrefix(lines[1], "laterna: --cluster-cidr: ") {
		t.Errorf("got %q", lines)
	}
}

func TestUnansweredRequestsTellWhereToLook(t *testing.T) {
	for _, unanswered := range []error{context.DeadlineExceeded, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)} {
		if got := explain(unanswered).Error(); !strings.Contains(got, "`laterna status`") {
			t.Errorf("%v became %q", unanswered, got)
		}
	}
	other := errors.New("forbidden")
	if got := explain(other); got != other {
		t.Errorf("%v became %v", other, got)
	}
}
