package compat

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestConformanceWebhooksRefuse(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation", func(t *testing.T) {
		h := s.hooks(t)
		h.validating(t, h.hook("deny-pods", "/deny-pods", "pods"), h.hook("deny-maps", "/deny-maps", "configmaps"), func() v1.ValidatingWebhook {
			w := h.hook("hanging-pods", "/hangs", "pods")
			w.TimeoutSeconds = new(int32(1))
			w.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"hangs": "true"}}
			return w
		}())
		pod := func(name string, labels map[string]string) error {
			p := shell(name, "true")
			p.Labels = labels
			_, err := s.client.CoreV1().Pods(h.ns).Create(t.Context(), p, metav1.CreateOptions{})
			return err
		}
		refused(t, pod("disallowed-pod", map[string]string{"unwanted": "true"}), "the pod contains unwanted label", `admission webhook "deny-pods.`)
		refused(t, pod("hanging-pod", map[string]string{"hangs": "true"}), "context deadline exceeded")
		_, err := h.create(t, map[string]string{"webhook-e2e-test": "webhook-disallow"})
		refused(t, err, "the configmap contains unwanted key and value")
		made, err := h.create(t, map[string]string{"admit": "this"})
		if err != nil {
			t.Fatal(err)
		}
		changed := made.DeepCopy()
		changed.Data["webhook-e2e-test"] = "webhook-disallow"
		_, err = s.client.CoreV1().ConfigMaps(h.ns).Update(t.Context(), changed, metav1.UpdateOptions{})
		refused(t, err, "the configmap contains unwanted key and value")
		_, err = s.client.CoreV1().ConfigMaps(h.ns).Patch(t.Context(), made.Name, types.StrategicMergePatchType, []byte(`{"data":{"webhook-e2e-test":"webhook-disallow"}}`), metav1.PatchOptions{})
		refused(t, err, "the configmap contains unwanted key and value")
		// A namespace that no selector matches is not asked about.
		if _, err := s.client.CoreV1().ConfigMaps(s.ns).Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: s.name("spared")}, Data: map[string]string{"webhook-e2e-test": "webhook-disallow"}}, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny attaching pod", func(t *testing.T) {
		h := s.hooks(t)
		w := h.hook("deny-attaching", "/deny-all", "pods/attach")
		w.Rules[0].Operations = []v1.OperationType{v1.Connect}
		h.validating(t, w, h.hook("marker", "/deny-maps", "configmaps"))
		_, err := s.client.CoreV1().Pods(h.ns).Create(t.Context(), shell("to-be-attached-pod", forever), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.sh(t, "kubectl wait --for=condition=Ready pod/to-be-attached-pod -n "+h.ns)
		out := s.fails(t, "timeout 30s kubectl attach -n "+h.ns+" to-be-attached-pod -i -c=main")
		if !strings.Contains(out, "denied the request: not here") {
			t.Errorf("attaching says\n%s", out)
		}
		s.sh(t, "kubectl exec -n "+h.ns+" to-be-attached-pod -- true") // which is another subresource
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should unconditionally reject operations on fail closed webhook", func(t *testing.T) {
		h := s.hooks(t)
		w := h.hook("fail-closed", "", "configmaps")
		w.ClientConfig = v1.WebhookClientConfig{Service: &v1.ServiceReference{Namespace: h.ns, Name: "no-such", Path: new("/configmaps"), Port: new(int32(8443))}}
		h.validatingUnmarked(t, w)
		var err error
		eventually(t, 10*time.Second, func() error {
			if _, err = h.create(t, nil); err == nil {
				return fmt.Errorf("everything is taken")
			}
			return nil
		})
		if !apierrors.IsInternalError(err) {
			t.Errorf("refused with %v", err)
		}
		refused(t, err, `failed calling webhook "fail-closed.`, `services "no-such" not found`)
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should honor timeout", func(t *testing.T) {
		for _, tc := range []struct {
			name    string
			timeout *int32
			policy  v1.FailurePolicyType
			refused bool
		}{
			{"shorter than the webhook takes", new(int32(1)), v1.Fail, true},
			{"shorter, and failures are ignored", new(int32(1)), v1.Ignore, false},
			{"longer", new(int32(10)), v1.Fail, false},
			{"that is not given", nil, v1.Fail, false},
		} {
			h := s.hooks(t)
			w := h.hook("slow", "/slow", "configmaps")
			w.TimeoutSeconds, w.FailurePolicy = tc.timeout, &tc.policy
			w.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"slow": "true"}}
			h.validating(t, w, h.hook("marker", "/deny-maps", "configmaps"))
			_, err := s.client.CoreV1().ConfigMaps(h.ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "e2e-test", Labels: map[string]string{"slow": "true"}}}, metav1.CreateOptions{})
			if tc.refused {
				refused(t, err, "context deadline exceeded", "/slow?timeout=1s")
			} else if err != nil {
				t.Errorf("a timeout %s: %v", tc.name, err)
			}
		}
	})
}

func TestConformanceWebhooksChange(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate configmap", func(t *testing.T) {
		h := s.hooks(t)
		h.mutating(t, h.changing("stage-1", "/stage-1", "configmaps"), h.changing("stage-2", "/stage-2", "configmaps"))
		made, err := h.create(t, map[string]string{"mutation-start": "yes"})
		if err != nil || fmt.Sprint(made.Data) != "map[mutation-stage-1:yes mutation-stage-2:yes mutation-start:yes]" {
			t.Errorf("data %v, %v", made.Data, err)
		}
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate pod and apply defaults after mutation", func(t *testing.T) {
		h := s.hooks(t)
		h.mutating(t, h.changing("add-init", "/add-init", "pods"), h.changing("marker", "/stage-1", "configmaps"))
		pod, err := s.client.CoreV1().Pods(h.ns).Create(t.Context(), shell("webhook-to-be-mutated", "true"), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(pod.Spec.InitContainers) != 1 || pod.Spec.InitContainers[0].Name != "webhook-added-init-container" || pod.Spec.InitContainers[0].TerminationMessagePolicy != "File" {
			t.Errorf("init containers %+v", pod.Spec.InitContainers)
		}
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate everything except 'skip-me' configmaps", func(t *testing.T) {
		h := s.hooks(t)
		w := h.changing("except", "/stage-1", "configmaps")
		w.MatchConditions = []v1.MatchCondition{{Name: "skip-me", Expression: "object.metadata.name != 'skip-me'"}}
		h.mutating(t, w)
		for name, want := range map[string]string{"skip-me": "map[mutation-start:yes]", "other": "map[mutation-stage-1:yes mutation-start:yes]"} {
			made, err := s.client.CoreV1().ConfigMaps(h.ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"mutation-start": "yes"}}, metav1.CreateOptions{})
			if err != nil || fmt.Sprint(made.Data) != want {
				t.Errorf("%s: %v, %v", name, made.Data, err)
			}
		}
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should not be able to mutate or prevent deletion of webhook configuration objects", func(t *testing.T) {
		h := s.hooks(t)
		deny, change := h.hook("deny-configurations", "/deny-all", "*"), h.changing("change-configurations", "/label", "*")
		for _, r := range []*v1.RuleWithOperations{&deny.Rules[0], &change.Rules[0]} {
			r.APIGroups, r.Operations = []string{"admissionregistration.k8s.io"}, []v1.OperationType{v1.OperationAll}
		}
		deny.NamespaceSelector, change.NamespaceSelector = nil, nil
		h.validating(t, deny, h.hook("marker", "/deny-maps", "configmaps"))
		h.mutating(t, change, h.changing("marker", "/stage-1", "configmaps"))
		dummy := h.mutatingUnmarked(t, h.changing("dummy", "/nobody", "invalid"))
		if len(dummy.Labels) != 0 {
			t.Errorf("a configuration is changed: %v", dummy.Labels)
		}
		if err := s.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(t.Context(), dummy.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		other := h.validatingUnmarked(t, h.hook("dummy", "/nobody", "invalid"))
		if err := s.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), other.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a mutating webhook should work", func(t *testing.T) {
		h := s.hooks(t)
		all := s.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
		c := h.mutating(t, h.changing("stage-1", "/stage-1", "configmaps"))
		c.Webhooks[0].Rules[0].Operations = []v1.OperationType{v1.Update}
		c, err := all.Update(t.Context(), c, metav1.UpdateOptions{})
		if err != nil || c.Generation != 2 {
			t.Fatalf("generation %d, %v", c.Generation, err)
		}
		h.changes(t, false)
		if _, err := all.Patch(t.Context(), c.Name, types.JSONPatchType, []byte(`[{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		h.changes(t, true)
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a validating webhook should work", func(t *testing.T) {
		h := s.hooks(t)
		all := s.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
		c := h.validating(t, h.hook("deny-maps", "/deny-maps", "configmaps"))
		c.Webhooks[0].Rules[0].Operations = []v1.OperationType{v1.Update}
		c, err := all.Update(t.Context(), c, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h.refuses(t, false)
		if _, err := all.Patch(t.Context(), c.Name, types.JSONPatchType, []byte(`[{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		h.refuses(t, true)
	})
}

func TestConformanceWebhookConfigurations(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should include webhook resources in discovery documents", func(t *testing.T) {
		for path, parts := range map[string][]string{
			"/apis":                                 {`"name":"admissionregistration.k8s.io"`, `"groupVersion":"admissionregistration.k8s.io/v1"`},
			"/apis/admissionregistration.k8s.io":    {`"groupVersion":"admissionregistration.k8s.io/v1"`},
			"/apis/admissionregistration.k8s.io/v1": {`"name":"mutatingwebhookconfigurations"`, `"name":"validatingwebhookconfigurations"`},
		} {
			body, err := s.client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			contains(t, string(body), parts...)
		}
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing mutating webhooks should work", func(t *testing.T) {
		h := s.hooks(t)
		all, mine := s.client.AdmissionregistrationV1().MutatingWebhookConfigurations(), metav1.ListOptions{LabelSelector: "list=" + h.ns}
		for i := range 5 {
			h.labelled(t, h.changing(fmt.Sprint("stage-", i), "/stage-1", "configmaps"))
		}
		list, err := all.List(t.Context(), mine)
		if err != nil || len(list.Items) != 5 {
			t.Fatalf("%d configurations, %v", len(list.Items), err)
		}
		h.changes(t, true)
		if err := all.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine); err != nil {
			t.Fatal(err)
		}
		h.changes(t, false)
	})

	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing validating webhooks should work", func(t *testing.T) {
		h := s.hooks(t)
		all, mine := s.client.AdmissionregistrationV1().ValidatingWebhookConfigurations(), metav1.ListOptions{LabelSelector: "list=" + h.ns}
		for i := range 5 {
			w := h.hook(fmt.Sprint("deny-maps-", i), "/deny-maps", "configmaps")
			if _, err := all.Create(t.Context(), &v1.ValidatingWebhookConfiguration{ObjectMeta: h.meta(true), Webhooks: []v1.ValidatingWebhook{w}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := all.List(t.Context(), mine)
		if err != nil || len(list.Items) != 5 {
			t.Fatalf("%d configurations, %v", len(list.Items), err)
		}
		h.refuses(t, true)
		if err := all.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine); err != nil {
			t.Fatal(err)
		}
		h.refuses(t, false)
	})

	conditions := func(expressions ...string) (all []v1.MatchCondition) {
		for i, e := range expressions {
			all = append(all, v1.MatchCondition{Name: fmt.Sprint("condition-", i), Expression: e})
		}
		return all
	}
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update validating webhook configurations with match conditions", func(t *testing.T) {
		h := s.hooks(t)
		w := h.hook("conditions", "/deny-maps", "configmaps")
		w.MatchConditions = conditions("!('skip' in object.data)")
		c := h.validatingUnmarked(t, w)
		c.Webhooks[0].MatchConditions = conditions("object.metadata.name != 'a'", "request.userInfo.username != 'b'")
		got, err := s.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Update(t.Context(), c, metav1.UpdateOptions{})
		if err != nil || len(got.Webhooks[0].MatchConditions) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update mutating webhook configurations with match conditions", func(t *testing.T) {
		h := s.hooks(t)
		w := h.changing("conditions", "/stage-1", "configmaps")
		w.MatchConditions = conditions("!('skip' in object.data)")
		c := h.mutatingUnmarked(t, w)
		c.Webhooks[0].MatchConditions = conditions("object.metadata.name != 'a'", "request.userInfo.username != 'b'")
		got, err := s.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Update(t.Context(), c, metav1.UpdateOptions{})
		if err != nil || len(got.Webhooks[0].MatchConditions) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject validating webhook configurations with invalid match conditions", func(t *testing.T) {
		h := s.hooks(t)
		w := h.hook("conditions", "/deny-maps", "configmaps")
		w.MatchConditions = conditions("... [] bad expression")
		_, err := s.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &v1.ValidatingWebhookConfiguration{ObjectMeta: h.meta(false), Webhooks: []v1.ValidatingWebhook{w}}, metav1.CreateOptions{})
		refused(t, err, "compilation failed")
	})
	s.conforms(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject mutating webhook configurations with invalid match conditions", func(t *testing.T) {
		h := s.hooks(t)
		w := h.changing("conditions", "/stage-1", "configmaps")
		w.MatchConditions = conditions("... [] bad expression")
		_, err := s.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &v1.MutatingWebhookConfiguration{ObjectMeta: h.meta(false), Webhooks: []v1.MutatingWebhook{w}}, metav1.CreateOptions{})
		refused(t, err, "compilation failed")
	})
}

// refused checks an error of somebody who was refused.
func refused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("it is taken, want a refusal with %q", parts)
		return
	}
	contains(t, err.Error(), parts...)
}

// webhookAnswer is what the webhooks of the tests answer, by path.
func webhookAnswer(ctx context.Context, path string, r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	object := string(r.Object.Raw)
	deny := func(message string) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: message}}
	}
	change := func(patch string) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte(patch), PatchType: new(admissionv1.PatchTypeJSONPatch)}
	}
	wait := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	switch {
	case path == "/deny-all":
		return deny("not here")
	case path == "/deny-pods" && strings.Contains(object, `"unwanted":"true"`):
		return deny("the pod contains unwanted label")
	case path == "/deny-maps" && strings.Contains(object, `"webhook-e2e-test":"webhook-disallow"`):
		return deny("the configmap contains unwanted key and value")
	case path == "/deny-objects" && strings.Contains(object+string(r.OldObject.Raw), `"webhook-e2e-test":"webhook-disallow"`) && (object == "" || strings.Contains(object, "webhook-disallow")):
		return deny("the custom resource contains unwanted data")
	case path == "/stage-1" && strings.Contains(object, `"mutation-start":"yes"`):
		return change(`[{"op": "add", "path": "/data/mutation-stage-1", "value": "yes"}]`)
	case path == "/stage-2" && strings.Contains(object, `"mutation-stage-1":"yes"`):
		return change(`[{"op": "add", "path": "/data/mutation-stage-2", "value": "yes"}]`)
	case path == "/add-init":
		return change(`[{"op": "add", "path": "/spec/initContainers", "value": [{"image": "busybox", "name": "webhook-added-init-container", "resources": {}}]}]`)
	case path == "/label":
		return change(`[{"op": "add", "path": "/metadata/labels", "value": {"changed": "true"}}]`)
	case path == "/hangs":
		wait(time.Minute)
	case path == "/slow":
		wait(3 * time.Second)
	}
	return &admissionv1.AdmissionResponse{Allowed: true}
}
