package apiservice

import (
	"cmp"
	"slices"
	"strconv"
	"sync"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"laterna.dev/laterna/internal/clock"
)

// Version is the group-version of the kind.
var Version = apiregistrationv1.SchemeGroupVersion

// AddToScheme adds the types of the API.
func AddToScheme(s *runtime.Scheme) error { return apiregistrationv1.AddToScheme(s) }

type service = apiregistrationv1.APIService

// remembered is how many changes a watch may be late.
const remembered = 256

// Book is which group-versions are served, and what has changed of them. It is told by
// discovery, see Follow. Its methods may be called concurrently.
type Book struct {
	wall clock.Wall

	mu sync.Mutex
	// revision is that of the last change. It begins with the time of the start, so that those
	// of an earlier process are told from its own: they are older than begun.
	revision, begun int64
	own             map[schema.GroupVersion]bool
	entries         map[schema.GroupVersion]*service
	changes         []change // the last of them, oldest first
	watchers        map[*watcher]bool
}

// change is what a revision has changed.
type change struct {
	revision int64
	event    watch.Event
}

// NewBook returns a book of nothing.
func NewBook(wall clock.Wall) *Book {
	now := wall.Now().UnixMicro()
	return &Book{
		wall: wall, revision: now, begun: now,
		own: map[schema.GroupVersion]bool{}, entries: map[schema.GroupVersion]*service{}, watchers: map[*watcher]bool{},
	}
}

// Follow returns groups as something that tells the book what is listed there. own are the
// server's own group-versions, the others are of custom resources.
func (b *Book) Follow(groups discovery.GroupManager, own []schema.GroupVersion) discovery.GroupManager {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, gv := range own {
		b.own[gv] = true
		if gv.Group == "" { // it is not among the groups
			b.add(gv)
		}
	}
	return told{groups, b}
}

// told is the list of groups, which tells the book.
type told struct {
	discovery.GroupManager
	book *Book
}

// AddGroup implements discovery.GroupManager.
func (t told) AddGroup(g metav1.APIGroup) {
	t.GroupManager.AddGroup(g)
	versions := make([]string, len(g.Versions))
	for i, v := range g.Versions {
		versions[i] = v.Version
	}
	t.book.set(g.Name, versions)
}

// RemoveGroup implements discovery.GroupManager.
func (t told) RemoveGroup(name string) {
	t.GroupManager.RemoveGroup(name)
	t.book.set(name, nil)
}

// set says which versions of a group are served. This kind's own group serves itself, as in
// Kubernetes, and has no object.
func (b *Book) set(group string, versions []string) {
	if group == Version.Group {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range versions {
		b.add(schema.GroupVersion{Group: group, Version: v})
	}
	for gv := range b.entries {
		if gv.Group == group && !slices.Contains(versions, gv.Version) {
			b.remove(gv)
		}
	}
}

// add and remove are for holders of mu.
func (b *Book) add(gv schema.GroupVersion) {
	if b.entries[gv] != nil {
		return
	}
	b.revision++
	s := b.describe(gv)
	b.entries[gv] = s
	b.tell(watch.Event{Type: watch.Added, Object: s})
}

func (b *Book) remove(gv schema.GroupVersion) {
	last := b.entries[gv].DeepCopy()
	delete(b.entries, gv)
	b.revision++
	last.ResourceVersion = strconv.FormatInt(b.revision, 10)
	b.tell(watch.Event{Type: watch.Deleted, Object: last})
}

// describe makes the object of a group-version. Its name tells its UID, so it is the same
// object after a restart.
func (b *Book) describe(gv schema.GroupVersion) *service {
	now := metav1.NewTime(b.wall.Now()).Rfc3339Copy()
	managed, priority := "true", customPriority
	if b.own[gv] {
		managed, priority = "onstart", PriorityOf(gv)
	}
	name := nameOf(gv)
	return &service{
		TypeMeta: metav1.TypeMeta{APIVersion: Version.String(), Kind: "APIService"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)).String()), CreationTimestamp: now,
			ResourceVersion: strconv.FormatInt(b.revision, 10), Labels: map[string]string{"kube-aggregator.kubernetes.io/automanaged": managed},
		},
		Spec: apiregistrationv1.APIServiceSpec{Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: priority.Group, VersionPriority: priority.Version},
		Status: apiregistrationv1.APIServiceStatus{Conditions: []apiregistrationv1.APIServiceCondition{{
			Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue, LastTransitionTime: now,
			Reason: "Local", Message: "Local APIServices are always available",
		}}},
	}
}

// nameOf is what the object of a group-version is called.
func nameOf(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

// tell remembers an event and sends it to all watchers, for holders of mu.
func (b *Book) tell(e watch.Event) {
	b.changes = append(b.changes, change{b.revision, e})
	if len(b.changes) > remembered {
		b.changes = slices.Delete(b.changes, 0, len(b.changes)-remembered)
	}
	for w := range b.watchers {
		w.send(e)
	}
}

// get returns a copy of an object; nil where there is none.
func (b *Book) get(name string) *service {
	b.mu.Lock()
	defer b.mu.Unlock()
	for gv, s := range b.entries {
		if nameOf(gv) == name {
			return s.DeepCopy()
		}
	}
	return nil
}

// list returns copies of all objects, by name, and the revision that they are of.
func (b *Book) list() (all []*service, revision int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sorted(), b.revision
}

// sorted is list for holders of mu.
func (b *Book) sorted() (all []*service) {
	for _, s := range b.entries {
		all = append(all, s.DeepCopy())
	}
	slices.SortFunc(all, func(x, y *service) int { return cmp.Compare(x.Name, y.Name) })
	return all
}
