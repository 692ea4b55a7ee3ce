package garbagecollector

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
)

// server is one of things, with these objects. Patches are noted, not made.
func server(t *testing.T, objects ...*metav1.PartialObjectMetadata) (c cluster, client *metadatafake.FakeMetadataClient, patches *[]string) {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var all []runtime.Object
	for _, o := range objects {
		o.TypeMeta = metav1.TypeMeta{APIVersion: things.apiVersion, Kind: things.name}
		all = append(all, o)
	}
	client = metadatafake.NewSimpleMetadataClient(scheme, all...)
	patches = new([]string)
	client.PrependReactor("patch", "things", func(a clienttesting.Action) (bool, runtime.Object, error) {
		p := a.(clienttesting.PatchAction)
		*patches = append(*patches, string(p.GetPatchType())+" "+string(p.GetPatch()))
		return true, &metav1.PartialObjectMetadata{}, nil
	})
	k := &kinds{}
	k.set(map[[2]string]kind{{things.apiVersion, things.name}: things, {worlds.apiVersion, worlds.name}: worlds})
	return cluster{client, k}, client, patches
}

func named(name string) identity { return identity{"v1", "Thing", "ns", name, types.UID(name)} }

// TestDeletionsAreOfWhatWasRead: an object that has changed is deleted all the same while
// its owners are those that were read, and the one that has taken its name never.
func TestDeletionsAreOfWhatWasRead(t *testing.T) {
	for name, tc := range map[string]struct {
		now     *metav1.PartialObjectMetadata
		deletes int
		want    func(error) bool
	}{
		"the same owners": {thing("ns/a", "x"), 2, func(err error) bool { return err == nil }},
		"other owners":    {thing("ns/a", "y"), 1, apierrors.IsConflict},
		"another object":  {func() *metav1.PartialObjectMetadata { o := thing("ns/a", "x"); o.UID = "other"; return o }(), 1, apierrors.IsNotFound},
	} {
		c, client, _ := server(t, tc.now)
		deletes := 0
		client.PrependReactor("delete", "things", func(a clienttesting.Action) (bool, runtime.Object, error) {
			deletes++
			p := a.(clienttesting.DeleteActionImpl).DeleteOptions.Preconditions
			if p == nil || p.UID == nil || *p.UID != "a" {
				t.Errorf("%s: preconditions %v", name, p)
			}
			if p.ResourceVersion != nil {
				return true, nil, apierrors.NewConflict(things.resource.GroupResource(), "a", nil)
			}
			return true, nil, nil
		})
		if err := c.remove(t.Context(), named("a"), thing("ns/a", "x"), metav1.DeletePropagationBackground); !tc.want(err) || deletes != tc.deletes {
			t.Errorf("%s: %d deletions, %v", name, deletes, err)
		}
	}
}

func TestOwnersAreReleased(t *testing.T) {
	c, client, patches := server(t, thing("ns/a", "!x", "y"))
	if err := c.release(t.Context(), named("a"), []types.UID{"x"}); err != nil {
		t.Fatal(err)
	}
	if err := c.unblock(t.Context(), named("a"), thing("ns/a", "!x", "y")); err != nil {
		t.Fatal(err)
	}
	// A kind that knows no strategic merge has its references replaced.
	client.PrependReactor("patch", "things", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.PatchAction).GetPatchType() == types.StrategicMergePatchType {
			return true, nil, &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonUnsupportedMediaType, Code: 415}}
		}
		return false, nil, nil
	})
	if err := c.release(t.Context(), named("a"), []types.UID{"x"}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`application/strategic-merge-patch+json {"metadata":{"ownerReferences":[{"$patch":"delete","uid":"x"}],"uid":"a"}}`,
		`application/strategic-merge-patch+json {"metadata":{"ownerReferences":[{"uid":"x","blockOwnerDeletion":false}],"uid":"a"}}`,
		`application/merge-patch+json {"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Thing","name":"y","uid":"y"}],"resourceVersion":"1","uid":"a"}}`,
	}
	if got := strings.Join(*patches, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("patches\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestFinalizersAreTakenFromTheVeryObject(t *testing.T) {
	waits := deleted(thing("ns/a"), "example.com/x", metav1.FinalizerDeleteDependents)
	c, _, patches := server(t, waits)
	for range 2 {
		if err := c.finish(t.Context(), named("a"), metav1.FinalizerDeleteDependents); err != nil {
			t.Fatal(err)
		}
	}
	if want := `application/merge-patch+json {"metadata":{"finalizers":["example.com/x"],"resourceVersion":"1","uid":"a"}}`; len(*patches) != 2 || (*patches)[0] != want {
		t.Errorf("patches %v", *patches)
	}
	if err := c.finish(t.Context(), named("a"), metav1.FinalizerOrphanDependents); err != nil || len(*patches) != 2 {
		t.Errorf("a finalizer that it has not: %v, %v", *patches, err)
	}
	other := named("a")
	other.uid = "another"
	if err := c.finish(t.Context(), other, metav1.FinalizerDeleteDependents); !apierrors.IsNotFound(err) {
		t.Errorf("another object of that name: %v", err)
	}
	if _, err := c.get(t.Context(), identity{apiVersion: "example.com/v1", kind: "Widget"}); err != errUnknownKind {
		t.Errorf("a kind that nobody serves: %v", err)
	}
}
