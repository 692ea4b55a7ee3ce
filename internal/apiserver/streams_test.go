package apiserver_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// watched lists the resources that can be watched.
func (s *system) watched() []schema.GroupVersionResource {
	s.t.Helper()
	_, lists, err := s.admin().Discovery().ServerGroupsAndResources()
	must(s.t, err)
	var all []schema.GroupVersionResource
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		must(s.t, err)
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "watch") {
				all = append(all, gv.WithResource(r.Name))
			}
		}
	}
	return all
}

// asFresh tells what is wrong with a list, or a watch that begins with one, of a resource,
// made when the store was at a revision.
func asFresh(ctx context.Context, c metadata.Interface, r schema.GroupVersionResource, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := c.Resource(r).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing %s: %w", r.Resource, err)
	}
	if at, err := strconv.ParseInt(list.ResourceVersion, 10, 64); err != nil || at < revision {
		return fmt.Errorf("the list of %s is of %s, the store was at %d", r.Resource, list.ResourceVersion, revision)
	}
	begin := true
	w, err := c.Resource(r).Watch(ctx, metav1.ListOptions{
		SendInitialEvents: &begin, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return fmt.Errorf("watching %s: %w", r.Resource, err)
	}
	defer w.Stop()
	seen := 0
	for e := range w.ResultChan() {
		if e.Type != watch.Bookmark {
			seen++
			continue
		}
		o, err := meta.Accessor(e.Object)
		if err != nil {
			return err
		}
		if at, err := strconv.ParseInt(o.GetResourceVersion(), 10, 64); err != nil || at < revision {
			return fmt.Errorf("the watch of %s begins at %s, the store was at %d", r.Resource, o.GetResourceVersion(), revision)
		}
		if seen < len(list.Items) {
			return fmt.Errorf("the watch of %s begins with %d objects, the list has %d", r.Resource, seen, len(list.Items))
		}
		return nil
	}
	return fmt.Errorf("the watch of %s ended before it had begun", r.Resource)
}

// TestEveryKindIsReadAsFreshAsTheStore reads all kinds at once, again and again while
// others write, also after the store has forgotten what it was: kinds share streams.
func TestEveryKindIsReadAsFreshAsTheStore(t *testing.T) {
	s := boot(t, t.TempDir())
	all := slices.DeleteFunc(s.watched(), func(r schema.GroupVersionResource) bool {
		return r.Resource == "signingkeys" || r.Resource == "apiservices" // count revisions of their own
	})
	if len(all) < 30 {
		t.Fatalf("only %d kinds", len(all))
	}
	config := s.config("admin", "system:masters")
	config.WarningHandler = rest.NoWarnings{}
	client, err := metadata.NewForConfig(config)
	must(t, err)
	for round := range 5 {
		made, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "c"}}, metav1.CreateOptions{})
		must(t, err)
		revision, err := strconv.ParseInt(made.ResourceVersion, 10, 64)
		must(t, err)
		if round == 3 {
			_, err := s.raw().Compact(t.Context(), revision, clientv3.WithCompactPhysical())
			must(t, err)
		}
		began := time.Now()
		var reads sync.WaitGroup
		for _, r := range all {
			reads.Go(func() {
				if err := asFresh(t.Context(), client, r, revision); err != nil {
					t.Error(err)
				}
			})
		}
		reads.Wait()
		t.Logf("%d kinds in %s", len(all), time.Since(began))
	}
}
