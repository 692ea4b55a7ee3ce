package compat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
)

// TestConformanceMachinery tries what clients take for granted, on a system without a node
// that nobody else uses: its store forgets.
func TestConformanceMachinery(t *testing.T) {
	d := newDesk(t)
	d.conforms(t, "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers", d.discoversAtOnce)
	d.conforms(t, "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface", d.discoversByTheClient)
	d.conforms(t, "[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup", d.discoversOneByOne)
	d.conforms(t, "[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup", d.prefersAVersion)
	d.conforms(t, "[sig-api-machinery] server version should find the server version", func(t *testing.T) {
		v, err := d.client.Discovery().ServerVersion()
		d.must(t, err)
		major, err1 := strconv.Atoi(v.Major)
		minor, err2 := strconv.Atoi(v.Minor)
		if err1 != nil || err2 != nil || !strings.HasPrefix(v.GitVersion, fmt.Sprintf("v%d.%d.", major, minor)) {
			t.Errorf("version %+v", v)
		}
	})
	d.conforms(t, "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata", func(t *testing.T) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/", Verb: "get"}}}
		var table metav1.Table
		err := d.client.AuthorizationV1().RESTClient().Post().Resource("selfsubjectaccessreviews").
			SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Body(review).Do(t.Context()).Into(&table)
		if !apierrors.IsNotAcceptable(err) {
			t.Errorf("answered with %+v, %v", table, err)
		}
	})
	d.strictFields(t)
	d.chunks(t)
	d.watchers(t)
	d.conforms(t, "APIServices are those of what is served, and come and go with definitions", d.apiServices)
}

// expected are the resources that upstream looks for.
func expected() (all []schema.GroupVersionResource) {
	for gv, resource := range map[string]string{
		"v1": "namespaces", "admissionregistration.k8s.io/v1": "validatingwebhookconfigurations", "apiextensions.k8s.io/v1": "customresourcedefinitions",
		"apiregistration.k8s.io/v1": "apiservices", "apps/v1": "deployments", "authentication.k8s.io/v1": "tokenreviews", "authorization.k8s.io/v1": "selfsubjectaccessreviews",
		"autoscaling/v1": "horizontalpodautoscalers", "autoscaling/v2": "horizontalpodautoscalers", "batch/v1": "jobs", "certificates.k8s.io/v1": "certificatesigningrequests",
		"coordination.k8s.io/v1": "leases", "discovery.k8s.io/v1": "endpointslices", "events.k8s.io/v1": "events", "networking.k8s.io/v1": "ingresses", "node.k8s.io/v1": "runtimeclasses",
		"policy/v1": "poddisruptionbudgets", "scheduling.k8s.io/v1": "priorityclasses", "storage.k8s.io/v1": "csinodes",
	} {
		group, version, ok := strings.Cut(gv, "/")
		if !ok {
			group, version = "", gv
		}
		all = append(all, schema.GroupVersionResource{Group: group, Version: version, Resource: resource})
	}
	return all
}

func (d desk) discoversAtOnce(t *testing.T) {
	var all []apidiscovery.APIGroupDiscovery
	for _, path := range []string{"/api", "/apis"} {
		raw, err := d.client.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").Do(t.Context()).Raw()
		d.must(t, err)
		var list apidiscovery.APIGroupDiscoveryList
		d.must(t, json.Unmarshal(raw, &list))
		all = append(all, list.Items...)
	}
	for _, want := range expected() {
		if !slices.ContainsFunc(all, func(g apidiscovery.APIGroupDiscovery) bool {
			return g.Name == want.Group && slices.ContainsFunc(g.Versions, func(v apidiscovery.APIVersionDiscovery) bool {
				return v.Version == want.Version && slices.ContainsFunc(v.Resources, func(r apidiscovery.APIResourceDiscovery) bool { return r.Resource == want.Resource })
			})
		}) {
			t.Errorf("%v is not listed", want)
		}
	}
}

func (d desk) discoversByTheClient(t *testing.T) {
	aggregated, ok := d.client.Discovery().(discovery.AggregatedDiscoveryInterface)
	if !ok {
		t.Fatalf("the client is a %T", d.client.Discovery())
	}
	groups, resources, _, err := aggregated.GroupsAndMaybeResources()
	d.must(t, err)
	for _, want := range expected() {
		list := resources[want.GroupVersion()]
		if list == nil || !hasResource(list, want.Resource) {
			t.Errorf("%v is not among the resources", want)
		}
		if !slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool {
			return g.Name == want.Group && slices.ContainsFunc(g.Versions, func(v metav1.GroupVersionForDiscovery) bool { return v.Version == want.Version })
		}) {
			t.Errorf("%v is not among the groups", want.GroupVersion())
		}
	}
}

func hasResource(list *metav1.APIResourceList, name string) bool {
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == name })
}

func (d desk) discoversOneByOne(t *testing.T) {
	for _, want := range expected() {
		path := "/apis/" + want.GroupVersion().String()
		if want.Group == "" {
			path = "/api/" + want.Version
		}
		var list metav1.APIResourceList
		d.must(t, d.client.Discovery().RESTClient().Get().AbsPath(path).Do(t.Context()).Into(&list))
		if list.GroupVersion != want.GroupVersion().String() || !hasResource(&list, want.Resource) {
			t.Errorf("%s lists %+v", path, list)
		}
	}
}

func (d desk) prefersAVersion(t *testing.T) {
	var list metav1.APIGroupList
	d.must(t, d.client.Discovery().RESTClient().Get().AbsPath("/apis/").Do(t.Context()).Into(&list))
	if len(list.Groups) < 15 {
		t.Errorf("only %d groups", len(list.Groups))
	}
	for _, listed := range list.Groups {
		if strings.HasSuffix(listed.Name, ".example.com") {
			continue // it may have gone
		}
		var g metav1.APIGroup
		d.must(t, d.client.Discovery().RESTClient().Get().AbsPath("/apis/"+listed.Name+"/").Do(t.Context()).Into(&g))
		if !slices.ContainsFunc(g.Versions, func(v metav1.GroupVersionForDiscovery) bool { return v.GroupVersion == g.PreferredVersion.GroupVersion }) || g.PreferredVersion != listed.PreferredVersion {
			t.Errorf("%s: %+v, listed as %+v", listed.Name, g, listed)
		}
	}
}

// strictFields are the behaviours of strict requests with typed objects.
func (d desk) strictFields(t *testing.T) {
	const object = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "my-dep", %s"labels": {"app": "nginx"}}, "spec": {%s"selector": {"matchLabels": {"app": "nginx"}},
		"template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}}}}`
	for _, tc := range []struct{ behaviour, metadata, spec, says string }{
		{behaviour: "[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object",
			spec: `"unknownField": "foo", "replicas": 2, "replicas": 3, `, says: `strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"`},
		{behaviour: "[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object",
			metadata: `"unknownMeta": "foo", `, says: `strict decoding error: unknown field "metadata.unknownMeta"`},
	} {
		d.conforms(t, tc.behaviour, func(t *testing.T) {
			_, err := d.client.CoreV1().RESTClient().Post().AbsPath("/apis/apps/v1").Namespace(d.ns).Resource("deployments").SetHeader("Content-Type", "application/json").
				Param("fieldManager", "field_validation_mgr").Param("fieldValidation", "Strict").Body(fmt.Appendf(nil, object, tc.metadata, tc.spec)).Do(t.Context()).Get()
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("answered with %v", err)
			}
		})
	}
}

// apiServices follows the list with an informer, and is refused what it cannot have.
func (d desk) apiServices(t *testing.T) {
	client, err := dynamic.NewForConfig(d.config(t))
	d.must(t, err)
	informer := dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	go informer.Informer().RunWithContext(t.Context())
	has := func(name string, want bool) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if _, err := informer.Lister().Get(name); (err == nil) != want {
				return fmt.Errorf("%s: %v", name, err)
			}
			return nil
		})
	}
	has("v1.apps", true)
	contains(t, d.sh(t, "kubectl get apiservices"), "NAME", "SERVICE", "AVAILABLE", "AGE", "v1.apps ", "v2.autoscaling", "Local", "True")
	d.sh(t, `kubectl create -f - <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.apiservices.example.com}
spec:
  group: apiservices.example.com
  scope: Namespaced
  names: {plural: gadgets, kind: Gadget}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
END
kubectl wait --for=condition=Available --timeout=10s apiservice/v1.apiservices.example.com`)
	has("v1.apiservices.example.com", true)
	d.sh(t, "kubectl delete crd gadgets.apiservices.example.com")
	has("v1.apiservices.example.com", false)
	contains(t, d.refused(t, d.ns, `{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {"group": "metrics.k8s.io", "version": "v1beta1",
		"groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true, "service": {"name": "metrics-server", "namespace": "kube-system"}}}`),
		"API servers behind a Service are not supported", "metrics-server is of no use here")
	contains(t, d.system.fails(t, "kubectl top pods"), "Metrics API not available")
}
