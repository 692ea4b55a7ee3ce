package node_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	clienttesting "k8s.io/client-go/testing"
)

// withDevices is a pod with a claim of its own and one that was made of a template, which
// mounts a claim of a volume as all of those pods do.
func withDevices(name, on string) *corev1.Pod {
	p := pod(name, on)
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "a", ResourceClaimName: new(name + "-device")}, {Name: "b", ResourceClaimTemplateName: new("template")}}
	p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "b", ResourceClaimName: new(name + "-made")}}
	return p
}

func volume(name, claim string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if claim != "" {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "n", Name: claim}
	}
	return v
}

// TestVolumesAndDevicesAreOfTheirNodes: what agents of others read and write of them.
func TestVolumesAndDevicesAreOfTheirNodes(t *testing.T) {
	slice := func(name string, on *string) *resourcev1.ResourceSlice {
		return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.ResourceSliceSpec{NodeName: on}}
	}
	attachment := func(name, on string) *storagev1.VolumeAttachment {
		return &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: storagev1.VolumeAttachmentSpec{NodeName: on}}
	}
	a, client := start(t, withDevices("mine", "a"), withDevices("theirs", "b"),
		volume("v-mine", "mine-claim"), volume("v-theirs", "theirs-claim"), volume("v-free", ""),
		attachment("at-a", "a"), attachment("at-b", "b"), slice("s-a", new("a")), slice("s-b", new("b")), slice("s-all", nil))
	const (
		none    = "no relationship found between node 'a' and this object"
		single  = "can only get individual resources of this type"
		of      = "can only list/watch/deletecollection resourceslices with nodeName field selector"
		allowed = "allowed"
	)
	for _, tc := range []struct{ verb, group, resource, name, selector, want string }{
		{"get", "resource.k8s.io", "resourceclaims", "mine-device", "", allowed},
		{"get", "resource.k8s.io", "resourceclaims", "mine-made", "", allowed},
		{"get", "resource.k8s.io", "resourceclaims", "theirs-device", "", none},
		{"get", "resource.k8s.io", "resourceclaims", "theirs-made", "", none},
		{"list", "resource.k8s.io", "resourceclaims", "", "", single},
		{"update", "resource.k8s.io", "resourceclaims", "mine-device", "", single},
		{"get", "resource.k8s.io", "resourceclaims/status", "mine-device", "", "cannot get subresource"},
		{"get", "", "persistentvolumes", "v-mine", "", allowed},
		{"get", "", "persistentvolumes", "v-theirs", "", none},
		{"get", "", "persistentvolumes", "v-free", "", none},
		{"get", "", "persistentvolumes", "v-absent", "", none},
		{"watch", "", "persistentvolumes", "v-mine", "", single},
		{"get", "storage.k8s.io", "volumeattachments", "at-a", "", allowed},
		{"get", "storage.k8s.io", "volumeattachments", "at-b", "", none},
		{"get", "storage.k8s.io", "volumeattachments", "", "", "No Object name found"},
		{"delete", "storage.k8s.io", "volumeattachments", "at-a", "", single},
		{"create", "resource.k8s.io", "resourceslices", "", "", allowed},
		{"update", "resource.k8s.io", "resourceslices", "s-a", "", allowed},
		{"delete", "resource.k8s.io", "resourceslices", "s-b", "", none},
		{"patch", "resource.k8s.io", "resourceslices", "s-all", "", none},
		{"get", "resource.k8s.io", "resourceslices", "", "", "No Object name found"},
		{"list", "resource.k8s.io", "resourceslices", "", "spec.nodeName=a", allowed},
		{"deletecollection", "resource.k8s.io", "resourceslices", "", "spec.nodeName=a", allowed},
		{"deletecollection", "resource.k8s.io", "resourceslices", "", "spec.nodeName!=a", of},
		{"watch", "resource.k8s.io", "resourceslices", "", "", of},
		{"proxy", "resource.k8s.io", "resourceslices", "s-a", "", "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection"},
	} {
		if got, err := ask(t, a, tc.verb, tc.group, tc.resource, tc.name, tc.selector); err != nil || got != tc.want {
			t.Errorf("%s %s %s %s: %q, %v; want %q", tc.verb, tc.resource, tc.name, tc.selector, got, err, tc.want)
		}
	}
	client.PrependReactor("get", "volumeattachments", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("down") })
	if got, err := ask(t, a, "get", "storage.k8s.io", "volumeattachments", "at-a", ""); err == nil || got == allowed {
		t.Errorf("without the store: %q, %v", got, err)
	}
}

// ask asks as node a.
func ask(t *testing.T, a authorizer.Authorizer, verb, group, resource, name, selector string) (string, error) {
	t.Helper()
	attrs := authorizer.AttributesRecord{User: nodeUser("a"), Verb: verb, APIGroup: group, Resource: resource, Name: name, ResourceRequest: true}
	if resource == "resourceclaims/status" {
		attrs.Resource, attrs.Subresource = "resourceclaims", "status"
	}
	if attrs.Resource == "resourceclaims" {
		attrs.Namespace = "n"
	}
	if selector != "" {
		s, err := fields.ParseSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		attrs.FieldSelectorRequirements = s.Requirements()
	}
	decision, reason, err := a.Authorize(t.Context(), attrs)
	if decision == authorizer.DecisionAllow {
		return "allowed", err
	}
	return reason, err
}
