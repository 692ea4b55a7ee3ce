package compat

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// answerConversion converts between upstream's two versions: hostPort, and host and port.
func answerConversion(w http.ResponseWriter, r *http.Request) {
	var review v1.ConversionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	answer := &v1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, raw := range review.Request.Objects {
		var o unstructured.Unstructured
		if err := json.Unmarshal(raw.Raw, &o.Object); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if strings.HasSuffix(review.Request.DesiredAPIVersion, "/v2") {
			if both, ok := o.Object["hostPort"].(string); ok {
				delete(o.Object, "hostPort")
				o.Object["host"], o.Object["port"], _ = strings.Cut(both, ":")
			}
		} else if host, ok := o.Object["host"].(string); ok {
			port, _ := o.Object["port"].(string)
			delete(o.Object, "host")
			delete(o.Object, "port")
			o.Object["hostPort"] = net.JoinHostPort(host, port)
		}
		o.SetAPIVersion(review.Request.DesiredAPIVersion)
		answer.ConvertedObjects = append(answer.ConvertedObjects, runtime.RawExtension{Object: &o})
	}
	review.Request, review.Response = nil, answer
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // whoever asked may have gone
}

// converted is a definition of two versions, which a webhook in the test converts.
func (d *definer) converted(t *testing.T, group string) *v1.CustomResourceDefinition {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(answerConversion))
	t.Cleanup(server.Close)
	c := d.definition(group, served(t, "v1", `{"type": "object", "properties": {"hostPort": {"type": "string"}}}`),
		served(t, "v2", `{"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}}`))
	c.Spec.Versions[0].SelectableFields = []v1.SelectableField{{JSONPath: ".hostPort"}}
	c.Spec.Versions[1].SelectableFields = []v1.SelectableField{{JSONPath: ".host"}, {JSONPath: ".port"}}
	// Objects are converted while they are deleted with their definition.
	t.Cleanup(func() { d.gone(t, c.Name) })
	c.Spec.Conversion = &v1.CustomResourceConversion{Strategy: v1.WebhookConverter, Webhook: &v1.WebhookConversion{
		ConversionReviewVersions: []string{"v1", "v1beta1"},
		ClientConfig:             &v1.WebhookClientConfig{URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})},
	}}
	return d.define(t, c)
}

// ofVersion checks objects that are localhost:8080 in one of the versions.
func ofVersion(t *testing.T, version string, objects ...unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		got := fmt.Sprintf("%v %v %v", o.Object["hostPort"], o.Object["host"], o.Object["port"])
		want := map[string]string{"v1": "localhost:8080 <nil> <nil>", "v2": "<nil> localhost 8080"}[version]
		if !strings.HasSuffix(o.GetAPIVersion(), "/"+version) || got != want {
			t.Errorf("%s is %v, want %s in %s", o.GetName(), o.Object, want, version)
		}
	}
}

// converts are the behaviours of definitions with more than one version.
func (d *definer) converts(t *testing.T) {
	d.conforms(t, "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2", func(t *testing.T) {
		c := d.converted(t, "stable.example.com")
		ofVersion(t, "v1", *d.make(t, c, "cr-instance-1", `{"hostPort": "localhost:8080"}`))
		o, err := d.objectsOf(c, "v2").Get(t.Context(), "cr-instance-1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ofVersion(t, "v2", *o)
	})

	d.conforms(t, "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs", func(t *testing.T) {
		c := d.converted(t, "stable.example.com")
		d.make(t, c, "cr-instance-1", `{"hostPort": "localhost:8080"}`)
		d.patchDefinition(t, c.Name, `[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true}]`)
		eventually(t, 10*time.Second, func() error {
			now, err := d.definitions.ApiextensionsV1().CustomResourceDefinitions().Get(t.Context(), c.Name, metav1.GetOptions{})
			if err == nil && !slices.Contains(now.Status.StoredVersions, "v2") {
				err = fmt.Errorf("stored are %v", now.Status.StoredVersions)
			}
			return err
		})
		eventually(t, 10*time.Second, func() error { // a storage that is replaced ends what it does
			_, err := d.objectsOf(c, "v1").Create(t.Context(), object(t, c, "v1", "cr-instance-2", `{"hostPort": "localhost:8080"}`), metav1.CreateOptions{})
			return err
		})
		for _, version := range []string{"v1", "v2"} {
			list, err := d.objectsOf(c, version).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(list.Items) != 2 {
				t.Fatalf("%v, %v", list, err)
			}
			ofVersion(t, version, list.Items...)
		}
	})

	d.conforms(t, "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector", func(t *testing.T) {
		d.selectsByFields(t, d.converted(t, "selected.example.com"))
	})
}

// comings collects the names of objects that a watch has added and deleted.
func comings(t *testing.T, objects dynamic.ResourceInterface, selector string) func(want string) {
	t.Helper()
	w, err := objects.Watch(t.Context(), metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	var names []string
	return func(want string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			for {
				select {
				case e := <-w.ResultChan():
					if o, ok := e.Object.(*unstructured.Unstructured); ok && (e.Type == watch.Added || e.Type == watch.Deleted) {
						names = append(names, string(e.Type[0])+o.GetName())
					}
				default:
					if got := strings.Join(names, " "); got != want {
						return fmt.Errorf("the watch of %s has seen %s, want %s", selector, got, want)
					}
					return nil
				}
			}
		})
	}
}

func (d *definer) selectsByFields(t *testing.T, c *v1.CustomResourceDefinition) {
	old, objects := d.objectsOf(c, "v1"), d.objectsOf(c, "v2")
	host, hostAndPort, oldBoth := comings(t, objects, "host=host1"), comings(t, objects, "host=host1,port=80"), comings(t, old, "hostPort=host1:80")
	for _, o := range []*unstructured.Unstructured{
		object(t, c, "v2", "a", `{"host": "host1", "port": "80"}`), object(t, c, "v2", "b", `{"host": "host1", "port": "8080"}`), object(t, c, "v2", "c", `{"host": "host2"}`),
	} {
		if _, err := objects.Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	lists := func(of dynamic.ResourceInterface, selector, want string) {
		t.Helper()
		list, err := of.List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, o := range list.Items {
			names = append(names, o.GetName())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s lists %s, want %s", selector, got, want)
		}
	}
	lists(objects, "host=host1", "a b")
	lists(objects, "host=host1,port=80", "a")
	lists(old, "hostPort=host1:80", "a")
	lists(old, "hostPort=host1:8080", "b")
	host("Aa Ab")
	hostAndPort("Aa")
	oldBoth("Aa")
	if err := objects.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "host=host1,port=80"}); err != nil {
		t.Fatal(err)
	}
	o, err := objects.Get(t.Context(), "b", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o.Object["host"] = "host2"
	if _, err := objects.Update(t.Context(), o, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	lists(objects, "host=host1", "")
	lists(objects, "host=host1,port=80", "")
	lists(objects, "host=host2", "b c")
	host("Aa Ab Da Db")
	hostAndPort("Aa Da")
	oldBoth("Aa Da")
	if _, err := objects.List(t.Context(), metav1.ListOptions{FieldSelector: "other=1"}); err == nil {
		t.Error("a field that cannot be selected is taken")
	}
}
