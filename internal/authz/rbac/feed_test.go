package rbac

import (
	"slices"
	"strconv"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestListing checks what remains of the view when the watch begins anew.
func TestListing(t *testing.T) {
	bind := func(namespace, name string, version int) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: strconv.Itoa(version)}}
	}
	v := newView()
	for _, b := range []*rbacv1.ClusterRoleBinding{bind("", "stays", 3), bind("", "gone", 4), bind("", "newer", 30), bind("", "changed", 40), bind("", "deleted", 2), bind("", "long deleted", 2)} {
		if err := set(v, b); err != nil {
			t.Fatal(err)
		}
	}
	// A RoleBinding is of another kind: the listing says nothing about it.
	if err := set(v, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "other kind", ResourceVersion: "1"}}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*rbacv1.ClusterRoleBinding{bind("", "deleted", 25), bind("", "long deleted", 5)} {
		if err := drop(v, b, false); err != nil {
			t.Fatal(err)
		}
	}
	listed := 0
	f := &feed{view: v, listed: func() { listed++ }}
	// The listing is of version 20: it still has what was deleted at 25, and an
	// old state of what changed at 40.
	if err := f.Replace([]any{bind("", "stays", 3), bind("", "changed", 7), bind("", "deleted", 2), bind("", "new", 19)}, "20"); err != nil {
		t.Fatal(err)
	}
	var live, remembered []string
	for key, e := range v.bindings {
		if e.gone {
			remembered = append(remembered, key.Name)
			continue
		}
		live = append(live, key.Name+" "+strconv.FormatUint(e.version, 10))
	}
	slices.Sort(live)
	if want := []string{"changed 40", "new 19", "newer 30", "other kind 1", "stays 3"}; !slices.Equal(live, want) {
		t.Errorf("live = %q, want %q", live, want)
	}
	if want := []string{"deleted"}; !slices.Equal(remembered, want) {
		t.Errorf("remembered deletions = %q, want %q", remembered, want)
	}
	if err := f.Delete(bind("", "deleted", 25)); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.bindings[keyOf(bind("", "deleted", 0))]; ok {
		t.Error("a deletion that the watch confirmed is still remembered")
	}
	if listed != 1 {
		t.Errorf("told of %d listings, want 1", listed)
	}
	if err := f.Replace(nil, "not a number"); err == nil {
		t.Error("a listing of no version was taken")
	}
}
