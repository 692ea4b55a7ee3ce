package history

import (
	"fmt"
	"math"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/workload"
)

var kind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

func template(image string) *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
}

func set() *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "u", Annotations: map[string]string{"kubernetes.io/change-cause": "why"}}}
}

func numbered(n int64) *appsv1.ControllerRevision {
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("web-", n)}, Revision: n}
}

func TestARevisionHoldsATemplate(t *testing.T) {
	r, err := New(set(), kind, template("i:<1>"), 3)
	if err != nil {
		t.Fatal(err)
	}
	const data = `{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"i:\u003c1\u003e","name":"c","resources":{}}]}}}}`
	if string(r.Data.Raw) != data || r.Revision != 3 || r.Labels["app"] != "web" || r.Annotations["kubernetes.io/change-cause"] != "why" || metav1.GetControllerOf(r).UID != "u" {
		t.Errorf("%s of %+v", r.Data.Raw, r)
	}
	held, err := Template(r)
	if err != nil || held.Spec.Containers[0].Image != "i:<1>" {
		t.Errorf("%+v, %v", held, err)
	}
	for _, raw := range []string{"", "{", "{}", `{"spec":{"template":null}}`, `{"spec":[]}`} {
		if _, err := Template(&appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: []byte(raw)}}); err == nil {
			t.Errorf("%q has a template", raw)
		}
	}
}

func TestEqualAcrossVersionsOfTheAPI(t *testing.T) {
	defaults := func(s *corev1.PodSpec) {
		if s.DNSPolicy == "" {
			s.DNSPolicy = corev1.DNSClusterFirst
		}
	}
	now := template("i:1")
	defaults(&now.Spec)
	data, err := Data(now)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		raw  string
		want bool
	}{
		"the same bytes":       {string(data), true},
		"before there was one": {`{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}}`, true},
		"another":              {`{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i:2"}]}}}}`, false},
		"nonsense":             {`{"spec":1}`, false},
	} {
		r := &appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: []byte(tc.raw)}}
		if Equal(r, data, now, defaults) != tc.want {
			t.Errorf("%s: want %v", name, tc.want)
		}
	}
}

func TestNamesAndOrder(t *testing.T) {
	one, two := HashOfData([]byte("{}"), 0), HashOfData([]byte("{}"), 1)
	a, b, c := HashOfTemplate(template("i"), nil), HashOfTemplate(template("i"), new(int32(0))), HashOfTemplate(template("i"), new(int32(1)))
	if one == two || a == b || b == c {
		t.Errorf("hashes %s %s, %s %s %s", one, two, a, b, c)
	}
	if n := Name(strings.Repeat("a", 253), one); len(n) != 224+len(one) {
		t.Errorf("name of %d characters", len(n))
	}
	all := []*appsv1.ControllerRevision{numbered(3), numbered(1), numbered(2)}
	Sort(all)
	if Next(all) != 4 || Next(nil) != 1 || Next([]*appsv1.ControllerRevision{numbered(math.MaxInt64)}) != math.MaxInt64 || all[0].Revision != 1 || all[2].Revision != 3 {
		t.Errorf("next %d of %v", Next(all), all)
	}
	used := func(r *appsv1.ControllerRevision) bool { return r.Revision == 1 }
	for limit, want := range map[int]string{-1: "", 0: "web-2 web-3", 1: "web-2", 2: "", 9: ""} {
		var names []string
		for _, r := range Surplus(all, limit, used) {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("beyond %d: %q, want %q", limit, got, want)
		}
	}
}

func TestNamesOfOthersAreCollisions(t *testing.T) {
	stamp := func(r *appsv1.ControllerRevision, n int32) { r.Name = fmt.Sprint("web-", n) }
	mine, err := New(set(), kind, template("i:1"), 1)
	if err != nil {
		t.Fatal(err)
	}
	there := func(name, data string, owner string) *appsv1.ControllerRevision {
		r := mine.DeepCopy()
		r.Name, r.Data.Raw = name, []byte(data)
		r.OwnerReferences[0].UID = "other"
		if owner == "" {
			r.OwnerReferences = nil
		}
		if owner == "u" {
			r.OwnerReferences[0].UID = "u"
		}
		return r
	}
	same := string(mine.Data.Raw)
	for name, tc := range map[string]struct {
		there []runtime.Object
		want  string
	}{
		"none":                      {nil, "web-0 0"},
		"made before":               {[]runtime.Object{there("web-0", same, "u")}, "web-0 0"},
		"nobody's":                  {[]runtime.Object{there("web-0", same, "")}, "web-0 0"},
		"of a set that is gone":     {[]runtime.Object{there("web-0", same, "other")}, "web-1 1"},
		"of another template":       {[]runtime.Object{there("web-0", "{}", "u")}, "web-1 1"},
		"more than one is in a way": {[]runtime.Object{there("web-0", "{}", "u"), there("web-1", "{}", "")}, "web-2 2"},
	} {
		k := Keeper{Env: env.Env{Client: fake.NewClientset(tc.there...)}, Written: workload.NewWritten(nil)}
		r, n, err := k.Create(t.Context(), set(), mine, 0, stamp)
		if err != nil || fmt.Sprint(r.Name, " ", n) != tc.want {
			t.Errorf("%s: %v %d, %v, want %s", name, r, n, err, tc.want)
		}
	}
}
