package compat

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/internal/datadir"
)

// templates is how many objects are listed piece by piece, as in upstream's tests.
const templates = 400

// chunks are the behaviours of lists that come in pieces.
func (d desk) chunks(t *testing.T) {
	client := d.client.CoreV1().PodTemplates(d.ns)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < templates; i += 8 {
				_, err := client.Create(t.Context(), &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("template-%04d", i)},
					Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "test2"}}}}}, metav1.CreateOptions{})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// page reads a page behind the first of found objects, and wants what is left to be right.
	page := func(t *testing.T, options metav1.ListOptions, found int) *corev1.PodTemplateList {
		t.Helper()
		list, err := client.List(t.Context(), options)
		d.must(t, err)
		if n := len(list.Items); int64(n) > options.Limit || (list.Continue == "") != (list.RemainingItemCount == nil) || list.Continue != "" && int(*list.RemainingItemCount)+n+found != templates {
			t.Fatalf("%d objects behind %d, %+v", n, found, list.ListMeta)
		}
		for i, item := range list.Items {
			if item.Name != fmt.Sprintf("template-%04d", found+i) {
				t.Fatalf("%s is at %d", item.Name, found+i)
			}
		}
		return list
	}
	// rest reads the pages behind one.
	rest := func(t *testing.T, list *corev1.PodTemplateList, found int, limit func() int64) {
		t.Helper()
		version := list.ResourceVersion
		for list.Continue != "" {
			list = page(t, metav1.ListOptions{Limit: limit(), Continue: list.Continue}, found)
			if found += len(list.Items); list.ResourceVersion != version {
				t.Errorf("a page is of %s, the first of %s", list.ResourceVersion, version)
			}
		}
		if found != templates {
			t.Errorf("%d objects", found)
		}
	}
	d.conforms(t, "[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls", func(t *testing.T) {
		some := func() int64 { return rand.Int64N(templates/10) + 1 }
		for range 3 {
			first := page(t, metav1.ListOptions{Limit: some()}, 0)
			rest(t, first, len(first.Items), some)
		}
		if whole := page(t, metav1.ListOptions{Limit: templates + 1}, 0); len(whole.Items) != templates {
			t.Errorf("%d objects at once", len(whole.Items))
		}
	})
	d.conforms(t, "[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent", func(t *testing.T) {
		const tenth = templates / 10
		first := page(t, metav1.ListOptions{Limit: tenth}, 0)
		d.forget(t)
		var behind string
		eventually(t, 40*time.Second, func() error { // the server's cache forgets a moment later
			_, err := client.List(t.Context(), metav1.ListOptions{Limit: tenth, Continue: first.Continue})
			status, ok := err.(apierrors.APIStatus)
			if !ok || !apierrors.IsResourceExpired(err) || status.Status().Continue == "" {
				return fmt.Errorf("the page of a forgotten version: %w", err)
			}
			behind = status.Status().Continue
			return nil
		})
		second := page(t, metav1.ListOptions{Limit: tenth, Continue: behind}, tenth)
		if len(second.Items) != tenth || second.ResourceVersion == first.ResourceVersion {
			t.Errorf("%d objects of %s, those before of %s", len(second.Items), second.ResourceVersion, first.ResourceVersion)
		}
		rest(t, second, 2*tenth, func() int64 { return tenth })
	})
}

// forget has the store forget all that is not so now, which it does by itself after some
// minutes, as another API server of the same store would: it writes down what is forgotten.
func (d desk) forget(t *testing.T) {
	t.Helper()
	dir, err := datadir.Locate(d.Dir)
	d.must(t, err)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + dir.Socket("etcd")}})
	d.must(t, err)
	defer etcd.Close()
	_, err = d.client.CoreV1().ConfigMaps(d.ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "later-"}}, metav1.CreateOptions{})
	d.must(t, err)
	now, err := etcd.Get(t.Context(), "now")
	d.must(t, err)
	_, err = etcd.Put(t.Context(), "compact_rev_key", strconv.FormatInt(now.Header.Revision, 10))
	d.must(t, err)
	_, err = etcd.Compact(t.Context(), now.Header.Revision)
	d.must(t, err)
}

const watchLabel = "watch-this-configmap"

// observe watches the ConfigMaps that have one of some values of a label.
func (d desk) observe(t *testing.T, version string, values ...string) watch.Interface {
	t.Helper()
	selector := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: watchLabel, Operator: metav1.LabelSelectorOpIn, Values: values}}})
	w, err := d.client.CoreV1().ConfigMaps(d.ns).Watch(t.Context(), metav1.ListOptions{LabelSelector: selector, ResourceVersion: version})
	d.must(t, err)
	t.Cleanup(w.Stop)
	return w
}

// sees wants a watch to see an event next, of an object where one is given.
func sees(t *testing.T, w watch.Interface, kind watch.EventType, object *corev1.ConfigMap) *corev1.ConfigMap {
	t.Helper()
	select {
	case e, open := <-w.ResultChan():
		c, ok := e.Object.(*corev1.ConfigMap)
		if !open || !ok || e.Type != kind || object != nil && (c.ResourceVersion != object.ResourceVersion || c.Data["mutation"] != object.Data["mutation"]) {
			t.Fatalf("an event %s of %+v, want %s of %+v", e.Type, e.Object, kind, object)
		}
		return c
	case <-time.After(20 * time.Second):
		t.Fatalf("no event %s", kind)
	}
	return nil
}

// seesNothing wants a watch to see nothing, for a moment.
func seesNothing(t *testing.T, w watch.Interface) {
	t.Helper()
	select {
	case e := <-w.ResultChan():
		t.Fatalf("an event %s of %+v", e.Type, e.Object)
	case <-time.After(500 * time.Millisecond):
	}
}

// watchers are the behaviours of watches.
func (d desk) watchers(t *testing.T) {
	all := d.client.CoreV1().ConfigMaps(d.ns)
	create := func(t *testing.T, name, value string) *corev1.ConfigMap {
		t.Helper()
		c, err := all.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{watchLabel: value}}}, metav1.CreateOptions{})
		d.must(t, err)
		return c
	}
	change := func(t *testing.T, c *corev1.ConfigMap, mutation, value string) *corev1.ConfigMap {
		t.Helper()
		c = c.DeepCopy()
		c.Data, c.Labels[watchLabel] = map[string]string{"mutation": mutation}, value
		now, err := all.Update(t.Context(), c, metav1.UpdateOptions{})
		d.must(t, err)
		return now
	}
	remove := func(t *testing.T, c *corev1.ConfigMap) {
		t.Helper()
		d.must(t, all.Delete(t.Context(), c.Name, metav1.DeleteOptions{}))
	}
	d.conforms(t, "[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps", func(t *testing.T) {
		const a, b = "multiple-watchers-A", "multiple-watchers-B"
		ofA, ofB, ofBoth := d.observe(t, "", a), d.observe(t, "", b), d.observe(t, "", a, b)
		seen := func(kind watch.EventType, c *corev1.ConfigMap, by ...watch.Interface) {
			t.Helper()
			for _, w := range by {
				sees(t, w, kind, c)
			}
		}
		first := create(t, "e2e-watch-test-configmap-a", a)
		seen(watch.Added, first, ofA, ofBoth)
		for i := range 2 {
			first = change(t, first, strconv.Itoa(i+1), a)
			seen(watch.Modified, first, ofA, ofBoth)
		}
		remove(t, first)
		seen(watch.Deleted, nil, ofA, ofBoth)
		seesNothing(t, ofB)
		second := create(t, "e2e-watch-test-configmap-b", b)
		seen(watch.Added, second, ofB, ofBoth)
		remove(t, second)
		seen(watch.Deleted, nil, ofB, ofBoth)
		seesNothing(t, ofA)
	})
	d.conforms(t, "[sig-api-machinery] Watchers should be able to start watching from a specific resource version", func(t *testing.T) {
		const value = "from-resource-version"
		first := change(t, create(t, "e2e-watch-test-resource-version", value), "1", value)
		second := change(t, first, "2", value)
		remove(t, second)
		w := d.observe(t, first.ResourceVersion, value)
		sees(t, w, watch.Modified, second)
		sees(t, w, watch.Deleted, nil)
	})
	d.conforms(t, "[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch", func(t *testing.T) {
		const value = "watch-closed-and-restarted"
		broken := d.observe(t, "", value)
		c := create(t, "e2e-watch-test-watch-closed", value)
		first := change(t, c, "1", value)
		sees(t, broken, watch.Added, c)
		last := sees(t, broken, watch.Modified, first)
		broken.Stop()
		second := change(t, first, "2", value)
		again := d.observe(t, last.ResourceVersion, value)
		remove(t, second)
		sees(t, again, watch.Modified, second)
		sees(t, again, watch.Deleted, nil)
	})
	d.conforms(t, "[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector", func(t *testing.T) {
		const value = "label-changed-and-restored"
		w := d.observe(t, "", value)
		c := create(t, "e2e-watch-test-label-changed", value)
		first := change(t, c, "1", value)
		elsewhere := change(t, first, "1", "wrong-value")
		sees(t, w, watch.Added, c)
		sees(t, w, watch.Modified, first)
		sees(t, w, watch.Deleted, nil)
		second := change(t, elsewhere, "2", "wrong-value")
		seesNothing(t, w)
		restored := change(t, second, "2", value)
		third := change(t, restored, "3", value)
		remove(t, third)
		sees(t, w, watch.Added, restored)
		sees(t, w, watch.Modified, third)
		sees(t, w, watch.Deleted, nil)
	})
	d.conforms(t, "[sig-api-machinery] Watchers should receive events on concurrent watches in same order", d.sameOrder)
}

// sameOrder begins a watch at each event of the first, and compares what all see next.
func (d desk) sameOrder(t *testing.T) {
	const events, value = 50, "concurrent"
	all := d.client.CoreV1().ConfigMaps(d.ns)
	empty, err := all.List(t.Context(), metav1.ListOptions{})
	d.must(t, err)
	watches := []watch.Interface{d.observe(t, empty.ResourceVersion, value)}
	done := make(chan error, 1)
	go func() { // writes until there are enough events
		for i := range 2 * events {
			c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("concurrent-%d", i%3), Labels: map[string]string{watchLabel: value}}, Data: map[string]string{"mutation": strconv.Itoa(i)}}
			_, err := all.Update(t.Context(), c, metav1.UpdateOptions{})
			switch {
			case apierrors.IsNotFound(err):
				_, err = all.Create(t.Context(), c, metav1.CreateOptions{})
			case err == nil && i%5 == 0:
				err = all.Delete(t.Context(), c.Name, metav1.DeleteOptions{})
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range events {
		var version string
		for i, w := range watches {
			select {
			case e := <-w.ResultChan():
				c, ok := e.Object.(*corev1.ConfigMap)
				if !ok || i > 0 && c.ResourceVersion != version {
					t.Fatalf("watch %d sees %s of %+v, the first is at %s", i, e.Type, e.Object, version)
				}
				version = c.ResourceVersion
			case <-time.After(20 * time.Second):
				t.Fatalf("watch %d sees nothing", i)
			}
		}
		watches = append(watches, d.observe(t, version, value))
	}
	d.must(t, <-done)
}
