package registry_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/rbac/bootstrap"
)

func TestKindsStandInTheTableOnce(t *testing.T) {
	seen := map[schema.GroupVersionResource]bool{}
	for _, g := range registry.Kinds() {
		for _, k := range g.Kinds {
			r := g.Version.WithResource(k.Serve.Resource)
			if seen[r] || k.Serve.Resource == "" || k.Serve.Storages == nil {
				t.Errorf("%s stands in the table twice, or is not served", r)
			}
			seen[r] = true
		}
	}
	if len(seen) < 20 {
		t.Errorf("the table has %d kinds", len(seen))
	}
}

// TestWhatIsConfidential pins what is sealed in the store and kept out of audit logs.
func TestWhatIsConfidential(t *testing.T) {
	var got []string
	for r := range registry.Kinds().Confidential() {
		got = append(got, r.String())
	}
	slices.Sort(got)
	if want := "secrets serviceaccounts/token tokenreviews.authentication.k8s.io"; strings.Join(got, " ") != want {
		t.Errorf("confidential are %v, want %s", got, want)
	}
}

// TestNodesAreKeptToTheirOwn pins what nodes may do with the objects of others: nothing.
func TestNodesAreKeptToTheirOwn(t *testing.T) {
	want := map[schema.GroupResource]node.Access{
		corev1.Resource("configmaps"):                                      node.Referenced,
		corev1.Resource("persistentvolumeclaims"):                          node.Referenced,
		corev1.Resource("secrets"):                                         node.Referenced,
		corev1.Resource("serviceaccounts"):                                 node.Accounts,
		corev1.Resource("nodes"):                                           node.Itself,
		corev1.Resource("pods"):                                            node.OwnPods,
		{Group: "coordination.k8s.io", Resource: "leases"}:                 node.OwnLease,
		{Group: "certificates.k8s.io", Resource: "podcertificaterequests"}: node.OwnRequests,
		{Group: "storage.k8s.io", Resource: "csinodes"}:                    node.OwnCSINode,
		{Group: "projection.laterna.dev", Resource: "podprojections"}:      node.NamedAfterOwnPods,
		{Group: "storage.k8s.io", Resource: "volumeattachments"}:           node.OwnAttachments,
		corev1.Resource("persistentvolumes"):                               node.Bound,
		{Group: "resource.k8s.io", Resource: "resourceclaims"}:             node.Claimed,
		{Group: "resource.k8s.io", Resource: "resourceslices"}:             node.OwnSlices,
	}
	if got := registry.Kinds().NodeAccess(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRolesOfOurKinds(t *testing.T) {
	want := []bootstrap.Grant{
		{Resource: schema.GroupResource{Group: "projection.laterna.dev", Resource: "podprojections"},
			View: "get list watch", Edit: "delete deletecollection", Node: "get create update patch delete"},
		{Resource: schema.GroupResource{Group: "operator.openshift.io", Resource: "kubeapiservers"}, Node: "get list watch"},
	}
	if got := registry.Kinds().Grants(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// stub is a storage that says what it is.
type stub struct{ rest.Storage }

func (stub) New() runtime.Object { return &corev1.ConfigMap{} }

// row is one whose storages are built by f.
func row(resource string, f func(*registry.Builder) (map[string]rest.Storage, error)) registry.Kind {
	return registry.Kind{Serve: registry.Served{Resource: resource, Storages: f}}
}

// needs serves a resource whose storage needs that of another.
func needs(resource, other string) registry.Kind {
	return row(resource, func(b *registry.Builder) (map[string]rest.Storage, error) {
		if other != "" {
			if _, err := b.Storage(corev1.Resource(other)); err != nil {
				return nil, err
			}
		}
		return map[string]rest.Storage{resource: stub{}}, nil
	})
}

func build(kinds ...registry.Kind) (*registry.Storages, error) {
	return registry.Table{{Version: corev1.SchemeGroupVersion, Kinds: kinds}}.Build(registry.Parts{})
}

func TestStoragesAreBuiltInTheOrderTheyNeedEachOther(t *testing.T) {
	all, err := build(needs("a", "b"), needs("b", "c"), needs("c", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(all.Group(""))); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("built %v", got)
	}
}

func TestTablesThatCannotBeBuilt(t *testing.T) {
	twice := row("b", func(*registry.Builder) (map[string]rest.Storage, error) {
		return map[string]rest.Storage{"b": stub{}, "a": stub{}}, nil
	})
	for name, tc := range map[string]struct {
		kinds []registry.Kind
		want  string
	}{
		"a circle":  {[]registry.Kind{needs("a", "b"), needs("b", "a")}, "the storage of a needs itself"},
		"nobody":    {[]registry.Kind{needs("a", "z")}, "z is not in the table of kinds"},
		"two of it": {[]registry.Kind{needs("a", ""), twice}, "two storages for a of v1"},
	} {
		if _, err := build(tc.kinds...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func TestUnownedObjectsAreKnownByTheirType(t *testing.T) {
	k := needs("a", "")
	k.Unowned = true
	all, err := build(k)
	if err != nil {
		t.Fatal(err)
	}
	if !all.Unowned(&corev1.ConfigMap{}) || all.Unowned(&corev1.Secret{}) {
		t.Error("a kind is not told by its row")
	}
}
