package noderestriction_test

import (
	"context"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/admission/noderestriction"
)

var nodeA = &user.DefaultInfo{Name: "system:node:a", Groups: []string{user.NodesGroup}}

// grants allows nodes the audience "granted" for the service account "robot".
var grants = authorizer.AuthorizerFunc(func(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetVerb() == "request-serviceaccounts-token-audience" && attrs.GetResource() == "granted" && attrs.GetName() == "robot" &&
		attrs.GetNamespace() == "n" && attrs.GetAPIGroup() == "" && attrs.GetUser().GetName() == nodeA.Name && attrs.IsResourceRequest() {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
})

func pod(name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name + "-uid")},
		Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{{Name: "t", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "vault"}},
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}},
			}}}}}},
	}
}

func mirror(change func(*corev1.Pod)) *corev1.Pod {
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "m", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "a", UID: "a-uid", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: "a", Containers: []corev1.Container{{Name: "c"}},
			Volumes: []corev1.Volume{{Name: "h", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func volume(v corev1.VolumeSource) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: v}} }
}

func projected(s corev1.VolumeProjection) func(*corev1.Pod) {
	return volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{s}}})
}

func node(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name + "-uid"), Labels: map[string]string{"own": "x"}}}
	if change != nil {
		change(n)
	}
	return n
}

// projection is that of a pod made by pod, written by node a.
func projection(name string, change func(*v1alpha1.PodProjection)) *v1alpha1.PodProjection {
	p := &v1alpha1.PodProjection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: name, UID: types.UID(name + "-uid")}}},
		Spec: v1alpha1.PodProjectionSpec{NodeName: "a"},
	}
	if change != nil {
		change(p)
	}
	return p
}

func finalizer(p *v1alpha1.PodProjection) { p.Finalizers = []string{"example.com/hold"} }

func label(key string) func(*corev1.Node) { return func(n *corev1.Node) { n.Labels[key] = "x" } }

func token(bound, uid string, audiences ...string) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: audiences, BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: bound, UID: types.UID(uid)},
	}}
}

func deviceSlice(node string) *resourcev1.ResourceSlice {
	return &resourcev1.ResourceSlice{Spec: resourcev1.ResourceSliceSpec{NodeName: &node}}
}

// request builds the attributes of a request; resource may have a subresource.
func request(op admission.Operation, resource, namespace, name string, obj, old runtime.Object) admission.Attributes {
	resource, sub, _ := strings.Cut(resource, "/")
	gvr := corev1.SchemeGroupVersion.WithResource(resource)
	if resource == "leases" {
		gvr = coordinationv1.SchemeGroupVersion.WithResource(resource)
	}
	if resource == "csinodes" {
		gvr = storagev1.SchemeGroupVersion.WithResource(resource)
	}
	if strings.HasSuffix(resource, "requests") {
		gvr = certificatesv1.SchemeGroupVersion.WithResource(resource)
	}
	if resource == "resourceslices" {
		gvr = resourcev1.SchemeGroupVersion.WithResource(resource)
	}
	if resource == v1alpha1.Plural {
		gvr = v1alpha1.SchemeGroupVersion.WithResource(resource)
	}
	return admission.NewAttributesRecord(obj, old, schema.GroupVersionKind{}, namespace, name, gvr, sub, op, nil, false, nodeA)
}

func TestAdmit(t *testing.T) {
	no, yes := false, true
	const create, update, remove = admission.Create, admission.Update, admission.Delete
	own := func(change func(*metav1.OwnerReference)) func(*corev1.Pod) {
		return func(p *corev1.Pod) { change(&p.OwnerReferences[0]) }
	}
	tokens := func(name string, obj runtime.Object) admission.Attributes {
		return request(create, "serviceaccounts/token", "n", name, obj, nil)
	}
	status := func(old *corev1.Pod, change func(*corev1.Pod)) admission.Attributes {
		changed := old.DeepCopy()
		change(changed)
		return request(update, "pods/status", "n", old.Name, changed, old)
	}
	creates := func(p *corev1.Pod) admission.Attributes { return request(create, "pods", "n", p.Name, p, nil) }
	changes := func(name string, change func(*corev1.Node)) admission.Attributes {
		return request(update, "nodes", "", name, node(name, change), node(name, nil))
	}
	makes := func(name string, change func(*v1alpha1.PodProjection)) admission.Attributes {
		return request(create, v1alpha1.Plural, "n", name, projection(name, change), nil)
	}
	rewrites := func(change, changeOld func(*v1alpha1.PodProjection)) admission.Attributes {
		return request(update, v1alpha1.Plural, "n", "mine", projection("mine", change), projection("mine", changeOld))
	}
	for name, tc := range map[string]struct {
		a    admission.Attributes
		want string // end of the message, "" admits
	}{
		"mirror pod":                       {creates(mirror(nil)), ""},
		"not a mirror pod":                 {creates(pod("x", "a")), `pod does not have "kubernetes.io/config.mirror" annotation, node "a" can only create mirror pods`},
		"mirror pod of another node":       {creates(mirror(func(p *corev1.Pod) { p.Spec.NodeName = "b" })), `node "a" can only create pods with spec.nodeName set to itself`},
		"mirror pod of no node":            {creates(mirror(func(p *corev1.Pod) { p.Spec.NodeName = "" })), `node "a" can only create pods with spec.nodeName set to itself`},
		"mirror pod without owner":         {creates(mirror(func(p *corev1.Pod) { p.OwnerReferences = nil })), `node "a" can only create pods with an owner reference set to itself`},
		"mirror pod with two owners":       {creates(mirror(func(p *corev1.Pod) { p.OwnerReferences = append(p.OwnerReferences, p.OwnerReferences[0]) })), `node "a" can only create pods with a single owner reference set to itself`},
		"mirror pod owned by another node": {creates(mirror(own(func(r *metav1.OwnerReference) { r.Name = "b" }))), `node "a" can only create pods with an owner reference set to itself`},
		"mirror pod owned, not controlled": {creates(mirror(own(func(r *metav1.OwnerReference) { r.Controller = &no }))), `node "a" can only create pods with a controller owner reference set to itself`},
		"mirror pod that blocks deletion":  {creates(mirror(own(func(r *metav1.OwnerReference) { r.BlockOwnerDeletion = &yes }))), `node "a" must not set blockOwnerDeletion on an owner reference`},
		"mirror pod with a false uid":      {creates(mirror(own(func(r *metav1.OwnerReference) { r.UID = "z" }))), `node a UID mismatch: expected z got a-uid`},
		"mirror pod with service account":  {creates(mirror(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "x" })), `node "a" can not create pods that reference a service account`},
		"mirror pod with secret volume":    {creates(mirror(volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}))), `node "a" can not create pods that reference secrets`},
		"mirror pod with pull secret": {creates(mirror(func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "x"}} })),
			`node "a" can not create pods that reference secrets`},
		"mirror pod with secret env": {creates(mirror(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Env: []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}}}}}
		})), `node "a" can not create pods that reference secrets`},
		"mirror pod with config map env": {creates(mirror(func(p *corev1.Pod) {
			p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{}}}
		})), `node "a" can not create pods that reference configmaps`},
		"mirror pod with config map volume": {creates(mirror(volume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}))), `node "a" can not create pods that reference configmaps`},
		"mirror pod with projected secret":  {creates(mirror(projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{}}))), `node "a" can not create pods that reference secrets`},
		"mirror pod with projected token":   {creates(mirror(projected(corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}))), `node "a" can not create pods that reference serviceaccounts`},
		"mirror pod with trust bundle":      {creates(mirror(projected(corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{}}))), `node "a" can not create pods that reference clustertrustbundles`},
		"mirror pod with downward API":      {creates(mirror(projected(corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{}}))), ""},
		"mirror pod with claim":             {creates(mirror(volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}))), `node "a" can not create pods that reference persistentvolumeclaims`},
		"mirror pod with foreign volume":    {creates(mirror(volume(corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{}}))), `node "a" can not create pods that reference secrets`},

		"deletes its pod":           {request(remove, "pods", "n", "mine", nil, nil), ""},
		"deletes another's pod":     {request(remove, "pods", "n", "theirs", nil, nil), `node "a" can only delete pods with spec.nodeName set to itself`},
		"deletes an unbound pod":    {request(remove, "pods", "n", "nobodys", nil, nil), `node "a" can only delete pods with spec.nodeName set to itself`},
		"deletes a missing pod":     {request(remove, "pods", "n", "gone", nil, nil), `pods "gone" not found`},
		"updates a pod":             {request(update, "pods", "n", "mine", pod("mine", "a"), pod("mine", "a")), `unexpected operation "UPDATE", node "a" can only create and delete mirror pods`},
		"binds a pod":               {request(create, "pods/binding", "n", "mine", &corev1.Binding{}, nil), `unexpected pod subresource "binding", only 'status' and 'eviction' are allowed`},
		"reports on its pod":        {status(pod("mine", "a"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }), ""},
		"reports on another's pod":  {status(pod("theirs", "b"), func(*corev1.Pod) {}), `node "a" can only update pod status for pods with spec.nodeName set to itself`},
		"takes a pod by its report": {status(pod("theirs", "b"), func(p *corev1.Pod) { p.Spec.NodeName = "a" }), `node "a" can only update pod status for pods with spec.nodeName set to itself`},
		"labels by a report":        {status(pod("mine", "a"), func(p *corev1.Pod) { p.Labels = map[string]string{"x": "y"} }), `node "a" cannot update labels through pod status`},
		"claims by a report":        {status(pod("mine", "a"), func(p *corev1.Pod) { p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "x"}} }), `node "a" cannot update resource claim statues`},
		"evicts its pod":            {request(create, "pods/eviction", "n", "mine", &policyv1.Eviction{}, nil), ""},
		"evicts another's pod":      {request(create, "pods/eviction", "n", "theirs", &policyv1.Eviction{}, nil), `node a can only evict pods with spec.nodeName set to itself`},
		"evicts by name in the body": {request(create, "pods/eviction", "n", "", &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, nil),
			`node a can only evict pods with spec.nodeName set to itself`},

		"registers":                      {request(create, "nodes", "", "a", node("a", label("kubernetes.io/hostname")), nil), ""},
		"registers another":              {request(create, "nodes", "", "b", node("b", nil), nil), `node "a" is not allowed to modify node "b"`},
		"registers with a false label":   {request(create, "nodes", "", "a", node("a", label("node-restriction.kubernetes.io/secure")), nil), `node "a" is not allowed to set the following labels: node-restriction.kubernetes.io/secure`},
		"updates itself":                 {changes("a", label("zone")), ""},
		"updates its kubelet label":      {changes("a", label("node.kubernetes.io/instance-type")), ""},
		"updates another":                {changes("b", label("zone")), `node "a" is not allowed to modify node "b"`},
		"updates another's status":       {request(update, "nodes/status", "", "b", node("b", nil), node("b", nil)), `node "a" is not allowed to modify node "b"`},
		"adds a role to itself":          {changes("a", label("node-role.kubernetes.io/control-plane")), `is not allowed to modify labels: node-role.kubernetes.io/control-plane`},
		"adds a label of a subdomain":    {changes("a", label("x.node-restriction.kubernetes.io/y")), `is not allowed to modify labels: x.node-restriction.kubernetes.io/y`},
		"adds a label of k8s.io":         {changes("a", label("x.k8s.io/y")), `is not allowed to modify labels: x.k8s.io/y`},
		"a domain that only looks alike": {changes("a", label("notkubernetes.io/y")), ""},
		"taints itself":                  {changes("a", func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "x"}} }), `node "a" is not allowed to modify taints`},
		"gives itself an owner":          {changes("a", func(n *corev1.Node) { n.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} }), `node "a" is not allowed to modify ownerReferences`},
		"configures itself":              {changes("a", func(n *corev1.Node) { n.Spec.ConfigSource = &corev1.NodeConfigSource{} }), `node "a" is not allowed to update configSource to a new non-nil configSource`},
		"removes a label": {request(update, "nodes", "", "a", node("a", nil), node("a", label("node-restriction.kubernetes.io/secure"))),
			`is not allowed to modify labels: node-restriction.kubernetes.io/secure`},

		"token for its pod":                                   {tokens("robot", token("mine", "mine-uid", "vault")), ""},
		"token without audience":                              {tokens("robot", token("mine", "mine-uid")), ""},
		"token for a granted audience":                        {tokens("robot", token("mine", "mine-uid", "granted")), ""},
		"grant is for another account":                        {tokens("other", token("mine", "mine-uid", "granted")), `audience "granted" not found in pod spec volume, system:node:a is not authorized to request tokens for this audience`},
		"token for another audience":                          {tokens("robot", token("mine", "mine-uid", "sts")), `audience "sts" not found in pod spec volume, system:node:a is not authorized to request tokens for this audience`},
		"token for two audiences":                             {tokens("robot", token("mine", "mine-uid", "vault", "sts")), `node may only request 0 or 1 audiences`},
		"token for another's pod":                             {tokens("robot", token("theirs", "theirs-uid", "vault")), `node requested token bound to a pod scheduled on a different node`},
		"token for an earlier pod":                            {tokens("robot", token("mine", "old-uid", "vault")), `the UID in the bound object reference (old-uid) does not match the UID in record. The object might have been deleted and then recreated`},
		"token without uid":                                   {tokens("robot", token("mine", "", "vault")), `node requested token with a pod binding without a uid`},
		"token for a missing pod":                             {tokens("robot", token("gone", "x", "vault")), `pods "gone" not found`},
		"token bound to nothing":                              {tokens("robot", &authenticationv1.TokenRequest{}), `node requested token not bound to a pod`},
		"token bound to the node":                             {tokens("robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: "a", UID: "a-uid"}}}), `node requested token not bound to a pod`},
		"own lease":                                           {request(update, "leases", "kube-node-lease", "a", nil, nil), ""},
		"makes its lease":                                     {request(create, "leases", "kube-node-lease", "", &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, nil), ""},
		"projection":                                          {makes("mine", nil), ""},
		"projection of another node's pod":                    {makes("theirs", nil), `node "a" can only create projections of pods with spec.nodeName set to itself`},
		"projection of no pod":                                {makes("missing", nil), `pods "missing" not found`},
		"projection in another's name":                        {makes("mine", func(p *v1alpha1.PodProjection) { p.Spec.NodeName = "b" }), `node "a" can only create pod projections with spec.nodeName set to itself`},
		"projection with a false uid":                         {makes("mine", func(p *v1alpha1.PodProjection) { p.OwnerReferences[0].UID = "z" }), `the UID in the owner reference (z) does not match the UID in record. The pod might have been deleted and then recreated`},
		"projection of nobody":                                {makes("mine", func(p *v1alpha1.PodProjection) { p.OwnerReferences = nil }), `a pod projection must be owned by its pod alone`},
		"projection that blocks deletion":                     {makes("mine", func(p *v1alpha1.PodProjection) { p.OwnerReferences[0].BlockOwnerDeletion = &yes }), `node "a" must not set blockOwnerDeletion on an owner reference`},
		"projection with a finalizer":                         {makes("mine", finalizer), `node "a" is not allowed to modify finalizers of pod projections`},
		"projection update":                                   {rewrites(nil, nil), ""},
		"projection update with a finalizer of somebody else": {rewrites(finalizer, finalizer), ""},
		"projection update that holds":                        {rewrites(finalizer, nil), `node "a" is not allowed to modify finalizers of pod projections`},
		"projection update that lets go":                      {rewrites(nil, finalizer), `node "a" is not allowed to modify finalizers of pod projections`},
		"projection update of another node's":                 {rewrites(nil, func(p *v1alpha1.PodProjection) { p.Spec.NodeName = "b" }), `node "a" can only update pod projections with spec.nodeName set to itself`},
		"projection deletion":                                 {request(remove, v1alpha1.Plural, "n", "mine", nil, nil), ""},
		"projection deletion of another node's pod":           {request(remove, v1alpha1.Plural, "n", "theirs", nil, nil), `node "a" can only delete projections of pods with spec.nodeName set to itself`},
		"projection deletion without a pod":                   {request(remove, v1alpha1.Plural, "n", "missing", nil, nil), `pods "missing" not found`},
		"subresource of a projection":                         {request(update, v1alpha1.Plural+"/status", "n", "mine", projection("mine", nil), projection("mine", nil)), `unexpected subresource "status" of a pod projection`},
		"makes another's lease":                               {request(create, "leases", "kube-node-lease", "", &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, nil), `can only access node lease with the same name as the requesting node`},
		"updates another's lease":                             {request(update, "leases", "kube-node-lease", "b", nil, nil), `can only access node lease with the same name as the requesting node`},
		"lease elsewhere":                                     {request(update, "leases", "kube-system", "a", nil, nil), `can only access leases in the "kube-node-lease" system namespace`},
		"its storage drivers":                                 {request(update, "csinodes", "", "a", nil, nil), ""},
		"names its storage drivers":                           {request(create, "csinodes", "", "", &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, nil), ""},
		"names another's storage drivers":                     {request(create, "csinodes", "", "", &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, nil), "can only access CSINode with the same name as the requesting node"},
		"its devices":                                         {request(create, "resourceslices", "", "", deviceSlice("a"), nil), ""},
		"updates its devices":                                 {request(update, "resourceslices", "", "s", deviceSlice("a"), deviceSlice("a")), ""},
		"takes its devices back":                              {request(remove, "resourceslices", "", "s", nil, deviceSlice("a")), ""},
		"another's devices":                                   {request(create, "resourceslices", "", "", deviceSlice("b"), nil), "can only create ResourceSlice with the same NodeName as the requesting node"},
		"devices of the network":                              {request(create, "resourceslices", "", "", &resourcev1.ResourceSlice{}, nil), "can only create ResourceSlice with the same NodeName as the requesting node"},
		"takes another's devices back":                        {request(remove, "resourceslices", "", "s", nil, deviceSlice("b")), "can only delete ResourceSlice with the same NodeName as the requesting node"},
		"updates another's storage drivers":                   {request(update, "csinodes", "", "b", nil, nil), "can only access CSINode with the same name as the requesting node"},
		"other kinds are not restricted":                      {request(create, "events", "n", "e", &corev1.Event{}, nil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := noderestriction.New(noderestriction.Config{
				Client:     fake.NewClientset(pod("mine", "a"), pod("theirs", "b"), pod("nobodys", ""), node("a", nil), node("b", nil)),
				Authorizer: grants,
			})
			err := p.Admit(t.Context(), tc.a, nil)
			switch {
			case tc.want == "":
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			case err == nil:
				t.Errorf("admitted, want %s", tc.want)
			case !strings.HasSuffix(err.Error(), ": "+tc.want) && err.Error() != tc.want:
				t.Errorf("err = %v\nwant … %s", err, tc.want)
			case !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err):
				t.Errorf("err is a %T, want Forbidden or NotFound", err)
			}
		})
	}
}

func TestWhoIsRestricted(t *testing.T) {
	p := noderestriction.New(noderestriction.Config{Client: fake.NewClientset(), Authorizer: grants})
	for _, tc := range []struct {
		user       user.Info
		restricted bool
	}{
		{&user.DefaultInfo{Name: "system:node:b", Groups: []string{user.NodesGroup}}, true},
		{&user.DefaultInfo{Name: "system:node:", Groups: []string{user.NodesGroup}}, true},
		{&user.DefaultInfo{Name: "admin", Groups: []string{user.NodesGroup}}, false},
		{&user.DefaultInfo{Name: "system:node:a"}, false},
		{&user.DefaultInfo{Name: "admin"}, false},
	} {
		a := admission.NewAttributesRecord(node("a", nil), nil, schema.GroupVersionKind{}, "", "a", corev1.SchemeGroupVersion.WithResource("nodes"), "", admission.Create, nil, false, tc.user)
		if err := p.Admit(t.Context(), a, nil); (err != nil) != tc.restricted {
			t.Errorf("%s of %v: %v, want restricted %v", tc.user.GetName(), tc.user.GetGroups(), err, tc.restricted)
		}
	}
}

func TestOnlyNodesCreateMirrorPods(t *testing.T) {
	p := noderestriction.New(noderestriction.Config{Client: fake.NewClientset(node("a", nil)), Authorizer: grants})
	by := func(pod *corev1.Pod, u user.Info) error {
		return p.Admit(t.Context(), admission.NewAttributesRecord(pod, nil, schema.GroupVersionKind{}, "n", pod.Name, corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, nil, false, u), nil)
	}
	if err := by(mirror(nil), nodeA); err != nil {
		t.Errorf("of a node: %v", err)
	}
	admin := &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}
	if err := by(mirror(nil), admin); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `only nodes can create mirror pods, which the annotation "kubernetes.io/config.mirror" makes of this one`) {
		t.Errorf("of an administrator: %v", err)
	}
	if err := by(pod("p", "a"), admin); err != nil {
		t.Errorf("another pod of an administrator: %v", err)
	}
}
