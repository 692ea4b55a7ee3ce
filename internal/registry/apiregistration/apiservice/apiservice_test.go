package apiservice

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/registry/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

// listed is a list of groups that is nobody's.
type listed struct{ discovery.GroupManager }

func (listed) AddGroup(metav1.APIGroup) {}
func (listed) RemoveGroup(string)       {}
func (listed) Groups(context.Context, *http.Request) ([]metav1.APIGroup, error) {
	return nil, nil
}

func group(name string, versions ...string) metav1.APIGroup {
	g := metav1.APIGroup{Name: name}
	for _, v := range versions {
		g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{Version: v})
	}
	return g
}

// begun is a book in which core, apps and this kind's own group are served, what tells it,
// and what answers from it.
func begun(t *testing.T) (*Book, discovery.GroupManager, *storage) {
	t.Helper()
	b := NewBook(clock.WallOf(clocktesting.NewFakeClock(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))))
	groups := b.Follow(listed{}, []schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}, Version})
	groups.AddGroup(group("apps", "v1"))
	groups.AddGroup(group(Version.Group, "v1"))
	s, ok := b.Storages()[Plural].(*storage)
	if !ok {
		t.Fatal("no storage")
	}
	return b, groups, s
}

func (s *storage) names(t *testing.T, o *metainternal.ListOptions) string {
	t.Helper()
	obj, err := s.List(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range obj.(*apiregistrationv1.APIServiceList).Items {
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

func TestWhatIsServedIsListed(t *testing.T) {
	_, groups, s := begun(t)
	if got := s.names(t, nil); got != "v1. v1.apps" {
		t.Errorf("at first %s", got)
	}
	groups.AddGroup(group("shop.example.com", "v1", "v1beta1"))
	groups.AddGroup(group("apps", "v1", "v9"))
	if got := s.names(t, nil); got != "v1. v1.apps v1.shop.example.com v1beta1.shop.example.com v9.apps" {
		t.Errorf("with custom resources %s", got)
	}
	selects := &metainternal.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "v1.apps")}
	if got := s.names(t, selects); got != "v1.apps" {
		t.Errorf("by name %s", got)
	}
	onstart := &metainternal.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{"kube-aggregator.kubernetes.io/automanaged": "onstart"})}
	if got := s.names(t, onstart); got != "v1. v1.apps" {
		t.Errorf("by label %s", got)
	}
	groups.AddGroup(group("shop.example.com", "v1"))
	groups.RemoveGroup("apps")
	if got := s.names(t, nil); got != "v1. v1.shop.example.com" {
		t.Errorf("at last %s", got)
	}
	obj, err := s.Get(t.Context(), "v1.shop.example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	one := obj.(*service)
	if one.Spec.GroupPriorityMinimum != 1000 || one.Spec.VersionPriority != 100 || one.Spec.Service != nil || one.Status.Conditions[0].Reason != "Local" || one.UID == "" {
		t.Errorf("got %+v", one)
	}
	if _, err := s.Get(t.Context(), "v1.gone", nil); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// next are the events that wait for a watch.
func next(t *testing.T, w watch.Interface) string {
	t.Helper()
	var all []string
	for {
		select {
		case e, open := <-w.ResultChan():
			if !open {
				return strings.Join(append(all, "END"), " ")
			}
			all = append(all, string(e.Type)+" "+e.Object.(*service).Name)
		default:
			return strings.Join(all, " ")
		}
	}
}

func TestWatchesSeeWhatChanges(t *testing.T) {
	b, groups, s := begun(t)
	_, before := b.list()
	at := func(revision int64) *metainternal.ListOptions {
		return &metainternal.ListOptions{ResourceVersion: strconv.FormatInt(revision, 10)}
	}
	whole := &metainternal.ListOptions{SendInitialEvents: new(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	var watches []watch.Interface
	for _, o := range []*metainternal.ListOptions{at(before), {}, {ResourceVersion: "0"}, whole, {FieldSelector: fields.OneTermEqualSelector("metadata.name", "v1.apps")}} {
		w, err := s.Watch(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, w)
	}
	const initial = "ADDED v1. ADDED v1.apps"
	for i, want := range []string{"", initial, initial, initial + " BOOKMARK ", "ADDED v1.apps"} {
		if got := next(t, watches[i]); got != want {
			t.Errorf("watch %d begins with %q, want %q", i, got, want)
		}
	}
	groups.AddGroup(group("shop.example.com", "v1"))
	groups.RemoveGroup("shop.example.com")
	const changes = "ADDED v1.shop.example.com DELETED v1.shop.example.com"
	for i, want := range []string{changes, changes, changes, changes, ""} {
		if got := next(t, watches[i]); got != want {
			t.Errorf("watch %d sees %q, want %q", i, got, want)
		}
	}
	late, err := s.Watch(t.Context(), at(before))
	if err != nil {
		t.Fatal(err)
	}
	if got := next(t, late); got != changes {
		t.Errorf("a late watch sees %q", got)
	}
	for _, revision := range []int64{1, before + 100} {
		if _, err := s.Watch(t.Context(), at(revision)); !apierrors.IsResourceExpired(err) {
			t.Errorf("after revision %d: %v", revision, err)
		}
	}
	watches[0].Stop()
	watches[0].Stop()
	if got := next(t, watches[0]); got != "END" {
		t.Errorf("a stopped watch says %q", got)
	}
	for range remembered {
		groups.AddGroup(group("shop.example.com", "v1"))
		groups.RemoveGroup("shop.example.com")
	}
	if got := next(t, watches[1]); !strings.HasSuffix(got, " END") {
		t.Error("a watch that does not read goes on")
	}
	if _, err := s.Watch(t.Context(), at(before)); !apierrors.IsResourceExpired(err) {
		t.Errorf("from long ago: %v", err)
	}
}

func TestNothingIsWritten(t *testing.T) {
	_, _, s := begun(t)
	remote := func(group string) *service {
		return &service{ObjectMeta: metav1.ObjectMeta{Name: "v1." + group}, Spec: apiregistrationv1.APIServiceSpec{
			Group: group, Version: "v1", Service: &apiregistrationv1.ServiceReference{Namespace: "ns", Name: "svc"}}}
	}
	update := func(name string, create bool, change func(*service)) error {
		_, _, err := s.Update(t.Context(), name, rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
			obj := old.DeepCopyObject().(*service)
			change(obj)
			return obj, nil
		}), nil, nil, create, nil)
		return err
	}
	created := func(obj *service) error {
		_, err := s.Create(t.Context(), obj, nil, nil)
		return err
	}
	deleted := func(name string) error {
		_, _, err := s.Delete(t.Context(), name, nil, nil)
		return err
	}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"remote":            {created(remote("x.example")), "spec.service: Forbidden: API servers behind a Service are not supported: this server has no aggregation layer, so requests for x.example/v1 would not reach ns/svc"},
		"metrics":           {created(remote("metrics.k8s.io")), "metrics-server is of no use here"},
		"takes over":        {created(remote("apps")), "spec.service: Forbidden"},
		"applied":           {update("v1.x.example", true, func(s *service) { *s = *remote("x.example") }), "spec.service: Forbidden"},
		"turned elsewhere":  {update("v1.apps", false, func(s *service) { s.Spec.Service = &apiregistrationv1.ServiceReference{} }), "spec.service: Forbidden"},
		"local":             {created(&service{Spec: apiregistrationv1.APIServiceSpec{Group: "x.example", Version: "v1"}}), "APIServices cannot be written"},
		"there":             {created(&service{ObjectMeta: metav1.ObjectMeta{Name: "v1.apps"}}), "already exists"},
		"missing":           {update("v1.gone", false, func(*service) {}), "not found"},
		"labelled":          {update("v1.apps", false, func(s *service) { s.Labels = nil }), "the object says that this server itself serves apps/v1, and nothing of the object can be changed"},
		"unchanged":         {update("v1.apps", false, func(s *service) { s.ManagedFields = []metav1.ManagedFieldsEntry{{}} }), ""},
		"deleted":           {deleted("v1.apps"), "it goes when that ends"},
		"deleted, not here": {deleted("v1.gone"), "not found"},
	} {
		if (tc.err == nil) != (tc.want == "") || tc.err != nil && !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, tc.err, tc.want)
		}
	}
}

func TestWhoComesFirst(t *testing.T) {
	for _, tc := range [][2]schema.GroupVersion{
		{Version, {Version: "v1"}}, {{Version: "v1"}, {Group: "apps", Version: "v1"}}, {{Group: "rbac.authorization.k8s.io", Version: "v1"}, {Group: "config.openshift.io", Version: "v1"}},
		{{Group: "config.openshift.io", Version: "v1"}, {Group: "iam.laterna.dev", Version: "v1alpha1"}},
	} {
		if PriorityOf(tc[0]).Group <= PriorityOf(tc[1]).Group {
			t.Errorf("%s does not come before %s", tc[0], tc[1])
		}
	}
	if v1, v2 := PriorityOf(schema.GroupVersion{Group: "autoscaling", Version: "v1"}), PriorityOf(schema.GroupVersion{Group: "autoscaling", Version: "v2"}); v1.Version >= v2.Version {
		t.Errorf("v1 has %v, v2 %v", v1, v2)
	}
}
