package resource_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

var errNotYours = errors.New("not yours")

// definition is that of a kind whose rules show what they were asked: data["wrong"] is
// invalid, data["status"] is cleared, data["warn"] is warned of, and objects that are
// labelled "kept" may not be written by anybody.
func definition() resource.Definition[*corev1.ConfigMap] {
	check := func(c *corev1.ConfigMap) field.ErrorList {
		if c.Data["wrong"] != "" {
			return field.ErrorList{field.Invalid(field.NewPath("data").Key("wrong"), c.Data["wrong"], "is wrong")}
		}
		return nil
	}
	return resource.Definition[*corev1.ConfigMap]{
		GroupVersion: corev1.SchemeGroupVersion, Plural: "configmaps", Singular: "configmap", Namespaced: true,
		ShortNames: []string{"cm"}, Categories: []string{"all"},
		New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} }, NewList: func() runtime.Object { return &corev1.ConfigMapList{} },
		Rules: resource.Rules[*corev1.ConfigMap]{
			PrepareCreate:  func(_ context.Context, c *corev1.ConfigMap) { delete(c.Data, "status") },
			PrepareUpdate:  func(_ context.Context, c, old *corev1.ConfigMap) { c.Immutable = old.Immutable },
			Validate:       func(_ context.Context, c *corev1.ConfigMap) field.ErrorList { return check(c) },
			ValidateUpdate: func(_ context.Context, c, _ *corev1.ConfigMap) field.ErrorList { return check(c) },
			WarnCreate:     func(_ context.Context, c *corev1.ConfigMap) []string { return strings.Fields(c.Data["warn"]) },
			WarnUpdate: func(_ context.Context, c, old *corev1.ConfigMap) []string {
				return []string{old.Data["k"] + c.Data["k"]}
			},
			Reset: []string{"data", "metadata.finalizers"},
		},
		Permit: func(_ context.Context, _, old *corev1.ConfigMap) error {
			if old.Labels["kept"] != "" {
				return errNotYours
			}
			return nil
		},
		Columns: resource.Columns[*corev1.ConfigMap]{
			Columns: []resource.Column{resource.Name(), {Name: "Data", Type: "integer"}, resource.AgeColumn()},
			Row:     func(c *corev1.ConfigMap) []any { return []any{c.Name, len(c.Data), resource.Age(c)} },
			Conditions: func(c *corev1.ConfigMap) []metav1.TableRowCondition {
				return []metav1.TableRowCondition{{Type: "T", Reason: c.Name}}
			},
		},
		Fields: func(c *corev1.ConfigMap) fields.Set { return fields.Set{"data.k": c.Data["k"]} },
	}
}

func storage(t *testing.T) *resource.Store[*corev1.ConfigMap] {
	t.Helper()
	env := resourcetest.Env(t, definition().Register)
	s, err := resource.New(definition(), env)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type warnings struct{ texts []string }

func (w *warnings) AddWarning(_, text string) { w.texts = append(w.texts, text) }

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"}, Data: data}
}

func create(t *testing.T, s *resource.Store[*corev1.ConfigMap], c *corev1.ConfigMap) (*corev1.ConfigMap, []string, error) {
	t.Helper()
	w := &warnings{}
	obj, err := s.Create(warning.WithWarningRecorder(resourcetest.Context(t, "ns"), w), c, resourcetest.Allow, &metav1.CreateOptions{})
	made, _ := obj.(*corev1.ConfigMap)
	return made, w.texts, err
}

func update(t *testing.T, s rest.Updater, c *corev1.ConfigMap) (*corev1.ConfigMap, []string, error) {
	t.Helper()
	w := &warnings{}
	obj, _, err := s.Update(warning.WithWarningRecorder(resourcetest.Context(t, "ns"), w), c.Name, rest.DefaultUpdatedObjectInfo(c),
		resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	written, _ := obj.(*corev1.ConfigMap)
	return written, w.texts, err
}

func TestRulesStandBeforeTheStore(t *testing.T) {
	s := storage(t)
	made, warned, err := create(t, s, configMap("a", map[string]string{"k": "1", "status": "set by a client", "warn": "one two"}))
	if err != nil || made.Data["status"] != "" || !slices.Equal(warned, []string{"one", "two"}) {
		t.Fatalf("made %v, warned %q, %v", made, warned, err)
	}
	if _, _, err := create(t, s, configMap("b", map[string]string{"wrong": "x"})); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `ConfigMap "b" is invalid: data[wrong]: Invalid value: "x": is wrong`) {
		t.Errorf("an invalid object: %v", err)
	}
	if _, _, err := create(t, s, configMap("A", nil)); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.name") {
		t.Errorf("an object with a wrong name: %v", err)
	}
	yes := true
	next := made.DeepCopy()
	next.Data["k"], next.Immutable = "2", &yes
	written, warned, err := update(t, s, next)
	if err != nil || written.Data["k"] != "2" || written.Immutable != nil || !slices.Equal(warned, []string{"12"}) {
		t.Errorf("written %v, warned %q, %v", written, warned, err)
	}
	if _, _, err := update(t, s, next); !apierrors.IsConflict(err) {
		t.Errorf("an update of what was read earlier: %v", err)
	}
	next = written.DeepCopy()
	next.Data["wrong"] = "y"
	if _, _, err := update(t, s, next); !apierrors.IsInvalid(err) {
		t.Errorf("an invalid update: %v", err)
	}
}

// TestAWriteOfTheSameKeepsTheRevision holds that nobody is told of a change that is none.
func TestAWriteOfTheSameKeepsTheRevision(t *testing.T) {
	s := storage(t)
	made, _, err := create(t, s, configMap("a", map[string]string{"k": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	same := made.DeepCopy()
	same.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
	written, _, err := update(t, s, same)
	if err != nil || written.ResourceVersion != made.ResourceVersion {
		t.Errorf("from revision %s to %s, %v", made.ResourceVersion, written.ResourceVersion, err)
	}
}

func TestPermitIsAskedBeforeAllElse(t *testing.T) {
	s := storage(t)
	kept := configMap("a", nil)
	kept.Labels = map[string]string{"kept": "yes"}
	made, _, err := create(t, s, kept)
	if err != nil {
		t.Fatal(err)
	}
	next := made.DeepCopy()
	next.Data = map[string]string{"wrong": "x"}
	if _, _, err := update(t, s, next); !errors.Is(err, errNotYours) {
		t.Errorf("an update that is not permitted: %v", err)
	}
	if _, _, err := update(t, s.Subresource(resource.Rules[*corev1.ConfigMap]{}), next); !errors.Is(err, errNotYours) {
		t.Errorf("an update of a part that is not permitted: %v", err)
	}
}

func TestASubresourceHasRulesOfItsOwn(t *testing.T) {
	s := storage(t)
	made, _, err := create(t, s, configMap("a", map[string]string{"k": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	part := s.Subresource(resource.Rules[*corev1.ConfigMap]{
		PrepareUpdate: func(_ context.Context, c, old *corev1.ConfigMap) { c.Data = old.Data },
		Reset:         []string{"binaryData"},
	})
	next := made.DeepCopy()
	next.Data, next.BinaryData = map[string]string{"wrong": "x"}, map[string][]byte{"b": []byte("y")}
	written, warned, err := update(t, part, next)
	if err != nil || written.Data["k"] != "1" || string(written.BinaryData["b"]) != "y" || len(warned) > 0 {
		t.Errorf("written %v, warned %q, %v", written, warned, err)
	}
	if _, _, err := update(t, part, configMap("none", nil)); !apierrors.IsNotFound(err) {
		t.Errorf("a part of what is not there: %v", err)
	}
	sets := part.GetResetFields()
	if set := sets["v1"]; len(sets) != 1 || set == nil || set.String() != ".binaryData" {
		t.Errorf("reset fields of the part %v", sets)
	}
	if set := s.CreateStrategy.(rest.ResetFieldsStrategy).GetResetFields()["v1"]; set == nil || set.String() != ".data\n.metadata.finalizers" {
		t.Errorf("reset fields %v", set)
	}
}

func TestSelectableFields(t *testing.T) {
	s := storage(t)
	for name, k := range map[string]string{"a": "1", "b": "2", "c": "1"} {
		if _, _, err := create(t, s, configMap(name, map[string]string{"k": k})); err != nil {
			t.Fatal(err)
		}
	}
	for selector, want := range map[string][]string{
		"data.k=1": {"a", "c"}, "data.k!=1": {"b"}, "metadata.name=b": {"b"}, "metadata.namespace=other": nil, "metadata.namespace=ns,data.k=2": {"b"},
	} {
		list, err := s.List(resourcetest.Context(t, "ns"), &internalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie(selector)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list.(*corev1.ConfigMapList).Items {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", selector, got, want)
		}
	}
	scheme := resourcetest.Scheme(t, definition().Register)
	for label, known := range map[string]bool{"metadata.name": true, "metadata.namespace": true, "data.k": true, "data.j": false, "": false} {
		name, value, err := scheme.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("ConfigMap"), label, "v")
		if (err == nil) != known || known && (name != label || value != "v") {
			t.Errorf("%q: %q=%q, %v", label, name, value, err)
		}
	}
}

func TestWatchFromNoRevision(t *testing.T) {
	s := storage(t)
	if _, err := s.Watch(resourcetest.Context(t, "ns"), &internalversion.ListOptions{ResourceVersion: "soon"}); !apierrors.IsBadRequest(err) {
		t.Errorf("a watch from a revision that is none: %v", err)
	}
	w, err := s.Watch(resourcetest.Context(t, "ns"), &internalversion.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if _, _, err := create(t, s, configMap("a", nil)); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-w.ResultChan():
		if c, ok := e.Object.(*corev1.ConfigMap); !ok || c.Name != "a" {
			t.Errorf("event %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Error("no event of a new object")
	}
}

// TestDependentsByDefault has the finalizers by which the collector learns what is to
// become of what an object owns.
func TestDependentsByDefault(t *testing.T) {
	policy := func(p metav1.DeletionPropagation) *metav1.DeleteOptions {
		return &metav1.DeleteOptions{PropagationPolicy: &p}
	}
	for name, tc := range map[string]struct {
		kind    rest.GarbageCollectionPolicy
		options *metav1.DeleteOptions
		want    string // "" is gone at once
	}{
		"background":             {"", &metav1.DeleteOptions{}, ""},
		"orphans":                {rest.OrphanDependents, &metav1.DeleteOptions{}, "orphan"},
		"a DELETE that says":     {rest.OrphanDependents, policy(metav1.DeletePropagationBackground), ""},
		"in the foreground":      {"", policy(metav1.DeletePropagationForeground), "foregroundDeletion"},
		"unknown to a collector": {rest.Unsupported, policy(metav1.DeletePropagationOrphan), ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := definition()
			d.Rules.Dependents = tc.kind
			s, err := resource.New(d, resourcetest.Env(t, d.Register))
			if err != nil {
				t.Fatal(err)
			}
			s.EnableGarbageCollection = true
			if _, _, err := create(t, s, configMap("a", nil)); err != nil {
				t.Fatal(err)
			}
			ctx := resourcetest.Context(t, "ns")
			if _, _, err := s.Delete(ctx, "a", rest.ValidateAllObjectFunc, tc.options); err != nil {
				t.Fatal(err)
			}
			left, err := s.Get(ctx, "a", &metav1.GetOptions{})
			if tc.want == "" {
				if !apierrors.IsNotFound(err) {
					t.Errorf("left %v, %v", left, err)
				}
				return
			}
			if err != nil || !slices.Equal(left.(*corev1.ConfigMap).Finalizers, []string{tc.want}) || left.(*corev1.ConfigMap).DeletionTimestamp == nil {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

func TestTables(t *testing.T) {
	s := storage(t)
	if !slices.Equal(s.ShortNames(), []string{"cm"}) || !slices.Equal(s.Categories(), []string{"all"}) {
		t.Errorf("short names %v, categories %v", s.ShortNames(), s.Categories())
	}
	one := configMap("a", map[string]string{"x": "", "z": ""})
	one.ResourceVersion = "7"
	table, err := s.ConvertToTable(t.Context(), one, nil)
	if err != nil || len(table.ColumnDefinitions) != 3 || len(table.Rows) != 1 || table.ResourceVersion != "7" {
		t.Fatalf("table %+v, %v", table, err)
	}
	if cells := table.Rows[0].Cells; cells[0] != "a" || cells[1] != 2 || cells[2] != "<unknown>" || table.Rows[0].Conditions[0].Reason != "a" {
		t.Errorf("row %+v", table.Rows[0])
	}
	left := int64(5)
	list := &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "c", RemainingItemCount: &left}, Items: []corev1.ConfigMap{*one, *configMap("b", nil)}}
	table, err = s.ConvertToTable(t.Context(), list, &metav1.TableOptions{NoHeaders: true})
	if err != nil || len(table.ColumnDefinitions) != 0 || len(table.Rows) != 2 || table.ResourceVersion != "9" || table.Continue != "c" || *table.RemainingItemCount != 5 || table.Rows[1].Conditions[0].Reason != "b" {
		t.Errorf("table %+v, %v", table, err)
	}
	// Other kinds, as the answer of a deletion may be, have a name at least.
	table, err = s.ConvertToTable(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, nil)
	if err != nil || len(table.Rows) != 1 || table.Rows[0].Cells[0] != "s" || len(table.Rows[0].Conditions) != 0 {
		t.Errorf("table of another kind %+v, %v", table, err)
	}
}

func TestAges(t *testing.T) {
	for ago, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "90s", 3 * time.Hour: "3h", 50 * time.Hour: "2d2h"} {
		if got := resource.Since(metav1.NewTime(time.Now().Add(-ago))); got != want {
			t.Errorf("%v ago is %q, want %q", ago, got, want)
		}
	}
}

func TestOnly(t *testing.T) {
	check := resource.Only("cluster")
	if msgs := check("cluster", false); len(msgs) > 0 {
		t.Errorf("the name itself: %q", msgs)
	}
	for _, name := range []string{"", "clusters", "Cluster"} {
		if msgs := check(name, false); len(msgs) != 1 || msgs[0] != `must be "cluster": there is only one` {
			t.Errorf("%q: %q", name, msgs)
		}
	}
}
