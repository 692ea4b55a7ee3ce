package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCascadesGoOnAfterKills kills the system while it collects, orphans and waits: what
// has to go goes, what has to stay stays, and what took a name meanwhile is left alone.
func TestCascadesGoOnAfterKills(t *testing.T) {
	t.Parallel()
	const each, kills = 150, 4
	s := started(t, "--node=false")
	maps := s.client(t).CoreV1().ConfigMaps("default")
	create := func(name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
		made, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
		if err != nil {
			t.Error(err)
		}
		return made
	}
	owners := map[metav1.DeletionPropagation]*corev1.ConfigMap{}
	var all sync.WaitGroup
	for _, policy := range []metav1.DeletionPropagation{"Background", "Foreground", "Orphan"} {
		owner := create("owner-" + strings.ToLower(string(policy)))
		owners[policy] = owner
		ref := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, BlockOwnerDeletion: new(true)}
		for worker := range 5 {
			all.Go(func() {
				for i := worker; i < each; i += 5 {
					create(fmt.Sprintf("%s-%d", owner.Name, i), ref)
				}
			})
		}
	}
	all.Wait()
	for policy, owner := range owners {
		if err := maps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
			t.Fatal(err)
		}
	}
	for range kills {
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		maps = s.client(t).CoreV1().ConfigMaps("default")
	}
	create("owner-background") // another one of that name
	eventually(t, time.Minute, func() error {
		list, err := maps.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		left := map[string]int{}
		for _, c := range list.Items {
			if name, _, ok := strings.Cut(strings.TrimPrefix(c.Name, "owner-"), "-"); ok && strings.HasPrefix(c.Name, "owner-") {
				left[name]++
				if name == "orphan" && len(c.OwnerReferences) > 0 {
					left["owned"]++
				}
			}
		}
		if left["background"] > 0 || left["foreground"] > 0 || left["owned"] > 0 || left["orphan"] != each {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	for _, name := range []string{"owner-foreground", "owner-orphan"} {
		eventually(t, stepTimeout, func() error {
			if _, err := maps.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s: %v", name, err)
			}
			return nil
		})
	}
	if _, err := maps.Get(t.Context(), "owner-background", metav1.GetOptions{}); err != nil {
		t.Errorf("what took the name of an owner that was deleted: %v", err)
	}
}

// TestPageOfDeletionsIsTrue runs the example of docs/deleting.md.
func TestPageOfDeletionsIsTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/deleting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```\n")
	example, _, ok := strings.Cut(example, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	out := shared.sh(t, "set -e\n"+example+"! kubectl get configmap owned")
	contains(t, out, "configmap/owner created", "configmap/owned patched", `configmap "owner" deleted`, "not found")
}
