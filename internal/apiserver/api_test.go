package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// shared boots one system for several tests.
func shared(t *testing.T, tests map[string]func(*testing.T, *system)) {
	t.Helper()
	s := boot(t, t.TempDir())
	for name, f := range tests {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Data: data}
}

func TestAPI(t *testing.T) {
	shared(t, map[string]func(*testing.T, *system){
		"objects live and die":              testLife,
		"one of two writers wins":           testConflict,
		"names are generated":               testGenerateName,
		"lists come in pages":               testPages,
		"patches of every type":             testPatches,
		"apply tracks owners":               testApply,
		"unknown fields are reported":       testStrict,
		"dry run stores nothing":            testDryRun,
		"watches begin where lists end":     testWatch,
		"watch lists end with a bookmark":   testWatchList,
		"informers follow":                  testInformer,
		"tables":                            testTable,
		"protobuf and JSON are the same":    testProtobuf,
		"fresh lists do not wait":           testFreshLists,
		"deleting a collection":             testDeleteCollection,
		"field selectors know their fields": testFieldSelectors,
		"finalizers hold objects":           testFinalizers,
	})
}

func testLife(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	made, err := maps.Create(t.Context(), configMap("life", map[string]string{"a": "1"}), metav1.CreateOptions{})
	must(t, err)
	if made.UID == "" || made.ResourceVersion == "" || made.CreationTimestamp.IsZero() {
		t.Errorf("metadata is incomplete: %+v", made.ObjectMeta)
	}
	if _, err := maps.Create(t.Context(), configMap("life", nil), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("second creation: %v", err)
	}
	made.Data["a"] = "2"
	_, err = maps.Update(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	got, err := maps.Get(t.Context(), "life", metav1.GetOptions{})
	must(t, err)
	if got.Data["a"] != "2" || got.UID != made.UID {
		t.Errorf("got %v", got)
	}
	other := types.UID("other")
	if err := maps.Delete(t.Context(), "life", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}}); !apierrors.IsConflict(err) {
		t.Errorf("deletion of another object: %v", err)
	}
	must(t, maps.Delete(t.Context(), "life", metav1.DeleteOptions{}))
	if _, err := maps.Get(t.Context(), "life", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after deletion: %v", err)
	}
	if _, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), configMap("Not_A_Name", nil), metav1.CreateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.name") {
		t.Errorf("bad name: %v", err)
	}
}

func testConflict(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	made, err := maps.Create(t.Context(), configMap("conflict", map[string]string{"a": "1"}), metav1.CreateOptions{})
	must(t, err)
	stale := made.DeepCopy()
	made.Data["a"] = "2"
	_, err = maps.Update(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	stale.Data["a"] = "3"
	if _, err := maps.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("stale update: %v", err)
	}
}

func testGenerateName(t *testing.T, s *system) {
	m := configMap("", nil)
	m.GenerateName = "gen-"
	for range 3 {
		made, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), m.DeepCopy(), metav1.CreateOptions{})
		must(t, err)
		if !strings.HasPrefix(made.Name, "gen-") || len(made.Name) < 8 {
			t.Errorf("name %q", made.Name)
		}
	}
}

func testPages(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	for i := range 5 {
		m := configMap(fmt.Sprintf("page-%d", i), nil)
		m.Labels = map[string]string{"pages": "yes"}
		_, err := maps.Create(t.Context(), m, metav1.CreateOptions{})
		must(t, err)
	}
	options := metav1.ListOptions{LabelSelector: "pages=yes", Limit: 2}
	var names []string
	for {
		list, err := maps.List(t.Context(), options)
		must(t, err)
		for _, m := range list.Items {
			names = append(names, m.Name)
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "page-0 page-1 page-2 page-3 page-4" {
		t.Errorf("pages hold %s", got)
	}
	if _, err := maps.List(t.Context(), metav1.ListOptions{Continue: "nonsense", Limit: 1}); !apierrors.IsBadRequest(err) {
		t.Errorf("bad continue token: %v", err)
	}
}

func testPatches(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	_, err := maps.Create(t.Context(), configMap("patch", map[string]string{"a": "1"}), metav1.CreateOptions{})
	must(t, err)
	for _, p := range []struct {
		kind types.PatchType
		data string
		want string
	}{
		{types.MergePatchType, `{"data":{"b":"2"}}`, "2"},
		{types.StrategicMergePatchType, `{"data":{"b":"3"}}`, "3"},
		{types.JSONPatchType, `[{"op":"replace","path":"/data/b","value":"4"}]`, "4"},
	} {
		got, err := maps.Patch(t.Context(), "patch", p.kind, []byte(p.data), metav1.PatchOptions{})
		must(t, err)
		if got.Data["b"] != p.want || got.Data["a"] != "1" {
			t.Errorf("%s: %v", p.kind, got.Data)
		}
	}
	for kind, data := range map[types.PatchType]string{types.MergePatchType: `{"data":`, types.JSONPatchType: `[{"op":"replace","path":"/data/none/x","value":"4"}]`} {
		if _, err := maps.Patch(t.Context(), "patch", kind, []byte(data), metav1.PatchOptions{}); !apierrors.IsBadRequest(err) && !apierrors.IsInvalid(err) {
			t.Errorf("bad %s: %v", kind, err)
		}
	}
}

func testApply(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	want := corev1apply.ConfigMap("apply", "default").WithData(map[string]string{"a": "1"})
	made, err := maps.Apply(t.Context(), want, metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	if len(made.ManagedFields) != 1 || made.ManagedFields[0].Manager != "one" || made.ManagedFields[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("owners: %v", made.ManagedFields)
	}
	_, err = maps.Apply(t.Context(), corev1apply.ConfigMap("apply", "default").WithData(map[string]string{"a": "2"}), metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "one": .data.a`) {
		t.Errorf("second owner: %v", err)
	}
	got, err := maps.Apply(t.Context(), corev1apply.ConfigMap("apply", "default").WithData(map[string]string{"a": "2"}), metav1.ApplyOptions{FieldManager: "two", Force: true})
	must(t, err)
	if got.Data["a"] != "2" {
		t.Errorf("forced: %v", got.Data)
	}
	got, err = maps.Apply(t.Context(), corev1apply.ConfigMap("apply", "default"), metav1.ApplyOptions{FieldManager: "two"})
	must(t, err)
	if _, ok := got.Data["a"]; ok {
		t.Errorf("a field that its owner gave up stays: %v", got.Data)
	}
}

func testStrict(t *testing.T, s *system) {
	body := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"strict"},"data":{"a":"1","a":"2"},"nonsense":true}`)
	core := s.admin().CoreV1().RESTClient()
	err := core.Post().Namespace("default").Resource("configmaps").Param("fieldValidation", "Strict").Body(body).Do(t.Context()).Error()
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `unknown field "nonsense"`) || !strings.Contains(err.Error(), `duplicate field "data.a"`) {
		t.Errorf("strict: %v", err)
	}
	result := core.Post().Namespace("default").Resource("configmaps").Param("fieldValidation", "Warn").Body(body).Do(t.Context())
	must(t, result.Error())
	var texts []string
	for _, w := range result.Warnings() {
		texts = append(texts, w.Text)
	}
	if got := strings.Join(texts, "|"); !strings.Contains(got, `unknown field "nonsense"`) {
		t.Errorf("warnings: %s", got)
	}
}

func testDryRun(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	_, err := maps.Create(t.Context(), configMap("dry", nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	must(t, err)
	if _, err := maps.Get(t.Context(), "dry", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after dry run: %v", err)
	}
}

// next returns the next event of w.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case e, ok := <-w.ResultChan():
		if !ok {
			t.Fatal("watch has ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
	}
	return watch.Event{}
}

func testWatch(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	list, err := maps.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	w, err := maps.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion, FieldSelector: "metadata.name=watched"})
	must(t, err)
	defer w.Stop()
	_, err = maps.Create(t.Context(), configMap("unwatched", nil), metav1.CreateOptions{})
	must(t, err)
	made, err := maps.Create(t.Context(), configMap("watched", nil), metav1.CreateOptions{})
	must(t, err)
	if e := next(t, w); e.Type != watch.Added || e.Object.(*corev1.ConfigMap).ResourceVersion != made.ResourceVersion {
		t.Errorf("event %v", e)
	}
	must(t, maps.Delete(t.Context(), "watched", metav1.DeleteOptions{}))
	if e := next(t, w); e.Type != watch.Deleted {
		t.Errorf("event %v", e)
	}
}

func testWatchList(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	_, err := maps.Create(t.Context(), configMap("watchlist", nil), metav1.CreateOptions{})
	must(t, err)
	yes := true
	w, err := maps.Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, FieldSelector: "metadata.name=watchlist",
	})
	must(t, err)
	defer w.Stop()
	if e := next(t, w); e.Type != watch.Added {
		t.Errorf("first event %v", e)
	}
	e := next(t, w)
	if e.Type != watch.Bookmark || e.Object.(*corev1.ConfigMap).Annotations[metav1.InitialEventsAnnotationKey] != "true" {
		t.Errorf("second event %v", e)
	}
}

func testInformer(t *testing.T, s *system) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 100)
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return s.admin().CoreV1().ConfigMaps("default").List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return s.admin().CoreV1().ConfigMaps("default").Watch(ctx, o)
		},
	}, &corev1.ConfigMap{}, 0, cache.Indexers{})
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) {
		if name := o.(*corev1.ConfigMap).Name; name == "informed" {
			seen <- name
		}
	}})
	must(t, err)
	go informer.RunWithContext(ctx)
	eventually(t, func() error {
		if !informer.HasSynced() {
			return fmt.Errorf("informer has not synced")
		}
		return nil
	})
	_, err = s.admin().CoreV1().ConfigMaps("default").Create(ctx, configMap("informed", nil), metav1.CreateOptions{})
	must(t, err)
	select {
	case <-seen:
	case <-time.After(10 * time.Second):
		t.Error("the informer saw nothing")
	}
}

func testTable(t *testing.T, s *system) {
	_, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), configMap("table", map[string]string{"a": "1", "b": "2"}), metav1.CreateOptions{})
	must(t, err)
	raw, err := s.admin().CoreV1().RESTClient().Get().Namespace("default").Resource("configmaps").Name("table").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	must(t, err)
	var table metav1.Table
	must(t, json.Unmarshal(raw, &table))
	var columns []string
	for _, c := range table.ColumnDefinitions {
		columns = append(columns, c.Name)
	}
	if got := strings.Join(columns, " "); got != "Name Data Age" {
		t.Errorf("columns %s", got)
	}
	if len(table.Rows) != 1 || table.Rows[0].Cells[0] != "table" || table.Rows[0].Cells[1] != float64(2) {
		t.Errorf("rows %v", table.Rows)
	}
}

func testProtobuf(t *testing.T, s *system) {
	c := s.config("admin", "system:masters")
	c.ContentConfig = rest.ContentConfig{ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf}
	client, err := kubernetes.NewForConfig(c)
	must(t, err)
	made, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "proto"}, Data: map[string]string{"a": "ü"}, BinaryData: map[string][]byte{"b": {0, 255}},
	}, metav1.CreateOptions{})
	must(t, err)
	got, err := s.admin().CoreV1().ConfigMaps("default").Get(t.Context(), "proto", metav1.GetOptions{})
	must(t, err)
	if got.Data["a"] != made.Data["a"] || string(got.BinaryData["b"]) != "\x00\xff" || got.UID != made.UID {
		t.Errorf("JSON %v, protobuf %v", got, made)
	}
	err = client.CoreV1().RESTClient().Post().Namespace("default").Resource("configmaps").Body([]byte("k8s\x00nonsense")).Do(t.Context()).Error()
	if !apierrors.IsBadRequest(err) {
		t.Errorf("damaged protobuf: %v", err)
	}
}

// testFreshLists writes one kind and lists another, which must be as fresh: with
// the library's pace of progress requests that takes 100 ms each time.
func testFreshLists(t *testing.T, s *system) {
	core := s.admin().CoreV1()
	began := time.Now()
	const rounds = 30
	for i := range rounds {
		_, err := core.ConfigMaps("default").Create(t.Context(), configMap(fmt.Sprintf("fresh-%d", i), nil), metav1.CreateOptions{})
		must(t, err)
		_, err = core.Secrets("default").List(t.Context(), metav1.ListOptions{})
		must(t, err)
	}
	if took := time.Since(began); took > rounds*60*time.Millisecond {
		t.Errorf("%d fresh lists took %s", rounds, took)
	}
}

func testDeleteCollection(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	for i := range 3 {
		m := configMap(fmt.Sprintf("collected-%d", i), nil)
		m.Labels = map[string]string{"collected": "yes"}
		_, err := maps.Create(t.Context(), m, metav1.CreateOptions{})
		must(t, err)
	}
	must(t, maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "collected=yes"}))
	list, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: "collected=yes"})
	must(t, err)
	if len(list.Items) != 0 {
		t.Errorf("left: %v", list.Items)
	}
}

func testFieldSelectors(t *testing.T, s *system) {
	core := s.admin().CoreV1()
	list, err := core.Namespaces().List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=Active,metadata.name=default"})
	must(t, err)
	if len(list.Items) != 1 {
		t.Errorf("found %d namespaces", len(list.Items))
	}
	for _, selector := range []string{"spec.nonsense=1", "metadata.name", "a=b=c"} {
		if _, err := core.Pods("default").List(t.Context(), metav1.ListOptions{FieldSelector: selector}); !apierrors.IsBadRequest(err) {
			t.Errorf("selector %q: %v", selector, err)
		}
	}
}

func testFinalizers(t *testing.T, s *system) {
	maps := s.admin().CoreV1().ConfigMaps("default")
	m := configMap("held", nil)
	m.Finalizers = []string{"example.com/hold"}
	_, err := maps.Create(t.Context(), m, metav1.CreateOptions{})
	must(t, err)
	must(t, maps.Delete(t.Context(), "held", metav1.DeleteOptions{}))
	got, err := maps.Get(t.Context(), "held", metav1.GetOptions{})
	must(t, err)
	if got.DeletionTimestamp == nil {
		t.Error("a held object is not being deleted")
	}
	_, err = maps.Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	must(t, err)
	if _, err := maps.Get(t.Context(), "held", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after release: %v", err)
	}
}
