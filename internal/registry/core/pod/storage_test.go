package pod

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/pod/evict"
)

// server is the storage of pods with what tests ask of it.
type server struct {
	*Storage
	t       *testing.T
	ctx     context.Context
	budgets *held
}

func newServer(t *testing.T, kubelets Kubelets) *server {
	t.Helper()
	if kubelets.Node == nil {
		kubelets = Kubelets{Wall: clock.Real(), TLS: &tls.Config{}, Node: func(_ context.Context, name string) (*corev1.Node, error) {
			return nil, errors.NewNotFound(corev1.Resource("nodes"), name)
		}}
	}
	held := &held{}
	s, err := NewStorage(newEnv(t), kubelets, evict.Budgets{List: held.list, UpdateStatus: held.update})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Pods.Destroy)
	return &server{s, t, inNamespace(t.Context()), held}
}

func (s *server) create(name, spec string) *corev1.Pod {
	s.t.Helper()
	p := withSpec(s.t, spec)
	p.Name = name
	obj, err := s.Pods.Create(s.ctx, p, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return obj.(*corev1.Pod)
}

func (s *server) get(name string) *corev1.Pod {
	s.t.Helper()
	p, err := getPod(s.ctx, s.Pods, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *server) bind(name, node string) error {
	return s.bindAs(&corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name}, Target: corev1.ObjectReference{Kind: "Node", Name: node}})
}

func (s *server) bindAs(b *corev1.Binding) error {
	_, err := s.ByPath["pods/binding"].(rest.NamedCreater).Create(s.ctx, b.Name, b, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	return err
}

func (s *server) updateStatus(name string, change func(*corev1.Pod)) (*corev1.Pod, error) {
	p := s.get(name)
	change(p)
	obj, _, err := s.ByPath["pods/status"].(rest.Updater).Update(s.ctx, name, rest.DefaultUpdatedObjectInfo(p),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Pod), nil
}

func (s *server) evict(name string, how *metav1.DeleteOptions, o *metav1.CreateOptions) error {
	e := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name}, DeleteOptions: how}
	_, err := s.ByPath["pods/eviction"].(rest.NamedCreater).Create(s.ctx, name, e, rest.ValidateAllObjectFunc, o)
	return err
}

func wantError(t *testing.T, err error, is func(error) bool, text string) {
	t.Helper()
	if err == nil || !is(err) || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v, want one with %q", err, text)
	}
}

func TestNewStorageNeedsKubelets(t *testing.T) {
	node := func(context.Context, string) (*corev1.Node, error) { return nil, nil }
	for _, k := range []Kubelets{{}, {Node: node}, {TLS: &tls.Config{}}} {
		if _, err := newDialer(k); err == nil {
			t.Errorf("%+v is accepted", k)
		}
	}
}

func TestCreateRefusesWrongPods(t *testing.T) {
	s := newServer(t, Kubelets{})
	p := withSpec(t, oneContainer)
	p.Name, p.Spec.Containers[0].Name = "A", "B"
	_, err := s.Pods.Create(s.ctx, p, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	wantError(t, err, errors.IsInvalid, `Pod "A" is invalid: [metadata.name: Invalid value: "A"`)
	wantError(t, err, errors.IsInvalid, `spec.containers[0].name: Invalid value: "B"`)
}

func TestBinding(t *testing.T) {
	s := newServer(t, Kubelets{})
	p := s.create("a", oneContainer)
	err := s.bindAs(&corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "a", UID: p.UID, Labels: map[string]string{"l": "m"}, Annotations: map[string]string{"n": "o"}},
		Target:     corev1.ObjectReference{Name: "node"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p = s.get("a")
	if p.Spec.NodeName != "node" || p.Labels["l"] != "m" || p.Annotations["n"] != "o" || !hasCondition(p, corev1.PodScheduled) {
		t.Errorf("bound pod %+v", p)
	}
	wantError(t, s.bind("a", "other"), errors.IsConflict, `pod a is already assigned to node "node"`)
	wantError(t, s.bind("none", "node"), errors.IsNotFound, `pods "none" not found`)

	s.create("b", oneContainer)
	wantError(t, s.bindAs(&corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "b", UID: "other"}, Target: corev1.ObjectReference{Name: "node"}}),
		errors.IsConflict, "Precondition failed: UID in precondition: other")
	wantError(t, s.bindAs(&corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "b", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}}, Target: corev1.ObjectReference{Name: "node"}}),
		errors.IsInvalid, "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation")
	wantError(t, s.bindAs(&corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Target: corev1.ObjectReference{Kind: "Pod"}}),
		errors.IsInvalid, `[target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", target.name: Required value]`)
	wantError(t, s.bind("b", "No Node"), errors.IsInvalid, `target.name: Invalid value: "No Node"`)

	s.create("gated", oneContainer+"\nschedulingGates: [{name: g}]")
	wantError(t, s.bind("gated", "node"), errors.IsConflict, "pod gated has non-empty .spec.schedulingGates")

	kept := s.create("kept", oneContainer)
	kept.Finalizers = []string{"example.com/x"}
	if _, _, err := s.Pods.Update(s.ctx, "kept", rest.DefaultUpdatedObjectInfo(kept), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Pods.Delete(s.ctx, "kept", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.bind("kept", "node"), errors.IsConflict, "pod kept is being deleted, cannot be assigned to a host")

	named := s.ByPath["pods/binding"].(rest.NamedCreater)
	_, err = named.Create(s.ctx, "x", &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, nil, &metav1.CreateOptions{})
	wantError(t, err, errors.IsBadRequest, "name in URL does not match name in Binding object")
}

func TestBindingDryRunAndOldPath(t *testing.T) {
	s := newServer(t, Kubelets{})
	s.create("a", oneContainer)
	b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Target: corev1.ObjectReference{Name: "node"}}
	old := s.ByPath["bindings"].(rest.Creater)
	if _, err := old.Create(s.ctx, b, nil, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Fatal(err)
	}
	if node := s.get("a").Spec.NodeName; node != "" {
		t.Errorf("a dry run bound the pod to %s", node)
	}
	obj, err := old.Create(s.ctx, b, nil, &metav1.CreateOptions{})
	if status, ok := obj.(*metav1.Status); err != nil || !ok || status.Status != metav1.StatusSuccess {
		t.Fatalf("%v, %v", obj, err)
	}
	if node := s.get("a").Spec.NodeName; node != "node" {
		t.Errorf("bound to %q", node)
	}
}

func TestGracefulDelete(t *testing.T) {
	s := newServer(t, Kubelets{})
	s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	obj, now, err := s.Pods.Delete(s.ctx, "a", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	if err != nil || now {
		t.Fatalf("deleted at once: %v, %v", now, err)
	}
	if p := obj.(*corev1.Pod); p.DeletionTimestamp == nil || *p.DeletionGracePeriodSeconds != 30 || p.Generation != 2 {
		t.Errorf("deleted pod: deletion %v, grace %v, generation %d", p.DeletionTimestamp, p.DeletionGracePeriodSeconds, p.Generation)
	}
	// The agent reports, with and without having seen the deletion, and ends it.
	p, err := s.updateStatus("a", func(p *corev1.Pod) { p.DeletionTimestamp, p.Status.Phase = nil, corev1.PodRunning })
	if err != nil || p.DeletionTimestamp == nil || p.Status.Phase != corev1.PodRunning {
		t.Errorf("status written: %v, %v", p, err)
	}
	if _, now, err = s.Pods.Delete(s.ctx, "a", rest.ValidateAllObjectFunc, metav1.NewDeleteOptions(0)); err != nil || !now {
		t.Errorf("deleted at once: %v, %v", now, err)
	}
	if _, err := getPod(s.ctx, s.Pods, "a"); !errors.IsNotFound(err) {
		t.Errorf("after deletion: %v", err)
	}
	s.create("unbound", oneContainer)
	if _, now, err = s.Pods.Delete(s.ctx, "unbound", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil || !now {
		t.Errorf("a pod without a node is deleted at once: %v, %v", now, err)
	}
}

func TestStatusUpdateLeavesTheRest(t *testing.T) {
	s := newServer(t, Kubelets{})
	s.create("a", oneContainer)
	p, err := s.updateStatus("a", func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "other"
		p.Status.Phase, p.Status.PodIP = corev1.PodRunning, "10.0.0.1"
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Spec.Containers[0].Image != "i:1" || p.Status.PodIPs[0].IP != "10.0.0.1" || p.Generation != 1 {
		t.Errorf("pod %+v", p)
	}
	_, err = s.updateStatus("a", func(p *corev1.Pod) { p.Status.QOSClass = corev1.PodQOSGuaranteed })
	wantError(t, err, errors.IsInvalid, "status.qosClass: Invalid value: \"Guaranteed\": field is immutable")
}

func TestEviction(t *testing.T) {
	s := newServer(t, Kubelets{})
	p := s.create("a", oneContainer)
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	if err := s.evict("a", nil, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Fatal(err)
	}
	if got := s.get("a"); got.DeletionTimestamp != nil || hasCondition(got, corev1.DisruptionTarget) {
		t.Error("a dry run evicted the pod")
	}
	wantError(t, s.evict("a", &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To(types.UID("x"))}}, &metav1.CreateOptions{}),
		errors.IsConflict, "the UID in the precondition (x) does not match the UID in record")
	wantError(t, s.evict("a", &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &p.ResourceVersion}}, &metav1.CreateOptions{}),
		errors.IsConflict, "does not match the ResourceVersion in record")
	wantError(t, s.evict("a", &metav1.DeleteOptions{DryRun: []string{"x"}}, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}),
		errors.IsBadRequest, "Non-matching dry-run options in request and content: [All] and [x]")

	version := s.get("a").ResourceVersion
	how := &metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](7), Preconditions: &metav1.Preconditions{UID: &p.UID, ResourceVersion: &version}}
	if err := s.evict("a", how, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := s.get("a")
	if got.DeletionGracePeriodSeconds == nil || *got.DeletionGracePeriodSeconds != 7 || !hasCondition(got, corev1.DisruptionTarget) {
		t.Errorf("evicted pod %+v", got)
	}
	wantError(t, s.evict("none", nil, &metav1.CreateOptions{}), errors.IsNotFound, `pods "none" not found`)
	_, err := s.ByPath["pods/eviction"].(rest.NamedCreater).Create(s.ctx, "x", &policyv1.Eviction{}, nil, &metav1.CreateOptions{})
	wantError(t, err, errors.IsBadRequest, "name in URL does not match name in Eviction object")
}

func TestFieldSelectors(t *testing.T) {
	s := newServer(t, Kubelets{})
	s.create("a", oneContainer+"\nserviceAccountName: sa")
	s.create("b", oneContainer+"\nhostNetwork: true\nrestartPolicy: Never")
	if err := s.bind("b", "node"); err != nil {
		t.Fatal(err)
	}
	for selector, want := range map[string]string{
		"spec.nodeName=node": "b", "spec.nodeName=": "a", "spec.hostNetwork=true": "b", "spec.restartPolicy!=Never": "a",
		"spec.schedulerName=default-scheduler": "a b", "spec.serviceAccountName=sa": "a", "status.phase=Pending": "a b",
		"status.podIP=": "a b", "status.podIPs=": "a b", "status.podIPs=10.0.0.1": "", "metadata.name=a": "a", "metadata.namespace=other": "", "status.nominatedNodeName=x": "",
	} {
		parsed, err := fields.ParseSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := s.Pods.List(s.ctx, &internalversion.ListOptions{FieldSelector: parsed})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range obj.(*corev1.PodList).Items {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s selects %q, want %q", selector, got, want)
		}
	}
	scheme, gvk := newScheme(t), corev1.SchemeGroupVersion.WithKind("Pod")
	if label, value, err := scheme.ConvertFieldLabel(gvk, "spec.host", "n"); label != "spec.nodeName" || value != "n" || err != nil {
		t.Errorf("spec.host: %s, %s, %v", label, value, err)
	}
	if _, _, err := scheme.ConvertFieldLabel(gvk, "spec.containers", ""); err == nil || err.Error() != "field label not supported: spec.containers" {
		t.Errorf("spec.containers: %v", err)
	}
	for name := range selectableFields(&corev1.Pod{}) {
		if _, _, err := scheme.ConvertFieldLabel(gvk, name, ""); err != nil {
			t.Errorf("%s is selectable and has no label: %v", name, err)
		}
	}
}

func TestServedAs(t *testing.T) {
	s := newServer(t, Kubelets{})
	if names := s.Pods.ShortNames(); len(names) != 1 || names[0] != "po" {
		t.Errorf("short names %v", names)
	}
	if c := s.Pods.Categories(); len(c) != 1 || c[0] != "all" {
		t.Errorf("categories %v", c)
	}
	for path, want := range map[string]runtime.Object{
		"pods": &corev1.Pod{}, "pods/status": &corev1.Pod{}, "pods/log": &corev1.Pod{}, "pods/binding": &corev1.Binding{}, "bindings": &corev1.Binding{},
		"pods/eviction": &policyv1.Eviction{}, "pods/exec": &corev1.PodExecOptions{}, "pods/attach": &corev1.PodAttachOptions{},
		"pods/portforward": &corev1.PodPortForwardOptions{}, "pods/ephemeralcontainers": &corev1.Pod{}, "pods/resize": &corev1.Pod{},
	} {
		storage, ok := s.ByPath[path]
		if !ok {
			t.Errorf("%s is not served", path)
			continue
		}
		if got := storage.New(); got == nil || !sameType(got, want) {
			t.Errorf("%s serves %T, want %T", path, got, want)
		}
	}
	if len(s.ByPath) != 11 {
		t.Errorf("%d paths", len(s.ByPath))
	}
}

func sameType(a, b runtime.Object) bool {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	_ = policyv1.AddToScheme(scheme)
	x, _, errA := scheme.ObjectKinds(a)
	y, _, errB := scheme.ObjectKinds(b)
	return errA == nil && errB == nil && x[0] == y[0]
}
