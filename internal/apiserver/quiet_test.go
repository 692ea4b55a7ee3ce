package apiserver_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"

	"laterna.dev/laterna/internal/log"
)

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) with(part string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, part) {
			out = append(out, line)
		}
	}
	return out
}

// TestLibrariesStayQuiet uses every subresource once and looks at what the
// libraries log: an apply model that lacks a kind shows there alone.
func TestLibrariesStayQuiet(t *testing.T) {
	logged := &lines{}
	log.BridgeLibraries(slog.New(slog.NewTextHandler(logged, nil)), 0)
	s := boot(t, t.TempDir())
	core := s.admin().CoreV1()
	ctx := t.Context()

	_, err := core.ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = core.ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	_, err = core.Nodes().Apply(ctx, corev1apply.Node("n"), metav1.ApplyOptions{FieldManager: "t"})
	must(t, err)
	_, err = core.Nodes().ApplyStatus(ctx, corev1apply.Node("n").WithStatus(corev1apply.NodeStatus().WithConditions(corev1apply.NodeCondition().WithType("Ready").WithStatus("True"))), metav1.ApplyOptions{FieldManager: "t"})
	must(t, err)
	pod := corev1apply.Pod("p", "default").WithSpec(corev1apply.PodSpec().WithContainers(corev1apply.Container().WithName("c").WithImage("i")))
	_, err = core.Pods("default").Apply(ctx, pod, metav1.ApplyOptions{FieldManager: "t"})
	must(t, err)
	must(t, core.Pods("default").Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}, metav1.CreateOptions{}))
	_, err = core.Pods("default").ApplyStatus(ctx, corev1apply.Pod("p", "default").WithStatus(corev1apply.PodStatus().WithPhase(corev1.PodRunning)), metav1.ApplyOptions{FieldManager: "t"})
	must(t, err)
	_, err = core.Pods("default").Patch(ctx, "p", types.StrategicMergePatchType, []byte(`{"status":{"reason":"x"}}`), metav1.PatchOptions{}, "status")
	must(t, err)
	must(t, core.Pods("default").EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}}))
	_, err = core.Namespaces().ApplyStatus(ctx, corev1apply.Namespace("default").WithStatus(corev1apply.NamespaceStatus().WithPhase(corev1.NamespaceActive)), metav1.ApplyOptions{FieldManager: "t", Force: true})
	must(t, err)
	_, err = core.Events("default").Create(ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "default"}, InvolvedObject: corev1.ObjectReference{Namespace: "default"}}, metav1.CreateOptions{})
	must(t, err)
	svc := corev1apply.Service("s", "default").WithSpec(corev1apply.ServiceSpec().WithPorts(corev1apply.ServicePort().WithPort(80)))
	_, err = core.Services("default").Apply(ctx, svc, metav1.ApplyOptions{FieldManager: "t"})
	must(t, err)
	status := corev1apply.ServiceStatus().WithConditions(metav1apply.Condition().WithType("T").WithStatus(metav1.ConditionTrue).WithReason("R").WithMessage("").WithLastTransitionTime(metav1.Now()))
	_, err = core.Services("default").ApplyStatus(ctx, corev1apply.Service("s", "default").WithStatus(status), metav1.ApplyOptions{FieldManager: "t"})
	must(t, err)
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods"}}}
	_, err = s.admin().AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	must(t, err)

	for _, part := range []string{"SHOULD NOT HAPPEN", "level=ERROR", "level=WARN"} {
		for _, line := range logged.with(part) {
			t.Error(line)
		}
	}
}
