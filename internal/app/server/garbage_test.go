package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// owned makes a ConfigMap that these own, and blocks.
func (w *world) owned(namespace, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	w.Helper()
	made, err := w.admin.CoreV1().ConfigMaps(namespace).Create(w.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
	w.must(err)
	return made
}

func refer(owner *corev1.ConfigMap) metav1.OwnerReference {
	yes := true
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, BlockOwnerDeletion: &yes}
}

// there returns a ConfigMap, nil when it is gone.
func (w *world) there(namespace, name string) *corev1.ConfigMap {
	w.Helper()
	c, err := w.admin.CoreV1().ConfigMaps(namespace).Get(w.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return c
}

func (w *world) remove(c *corev1.ConfigMap, policy metav1.DeletionPropagation) {
	w.Helper()
	w.must(w.admin.CoreV1().ConfigMaps(c.Namespace).Delete(w.Context(), c.Name, metav1.DeleteOptions{PropagationPolicy: &policy}))
}

func (w *world) gone(c *corev1.ConfigMap) {
	w.Helper()
	w.eventually(c.Name+" is gone", func() bool { return w.there(c.Namespace, c.Name) == nil })
}

func (w *world) change(c *corev1.ConfigMap, patch string) {
	w.Helper()
	_, err := w.admin.CoreV1().ConfigMaps(c.Namespace).Patch(w.Context(), c.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	w.must(err)
}

// garbage has the collector do each thing once.
func (w *world) garbage() {
	top := w.owned("kube-public", "garbage")
	w.gone(w.owned("default", "foreign", refer(top)))
	stays := w.owned("kube-public", "released", refer(top))
	w.remove(top, metav1.DeletePropagationOrphan)
	w.gone(top)
	w.remove(stays, metav1.DeletePropagationBackground)
}

// TestGarbageIsCollected has the collector of a real server at work, with objects that are
// nothing but owned.
func TestGarbageIsCollected(t *testing.T) {
	w := begin(t)
	for name, test := range map[string]func(w *world){
		"in the background": func(w *world) {
			top := w.owned("default", "b-top")
			middle := w.owned("default", "b-middle", refer(top))
			leaf := w.owned("default", "b-leaf", refer(middle))
			w.remove(top, metav1.DeletePropagationBackground)
			w.gone(middle)
			w.gone(leaf)
		},
		"in the foreground": func(w *world) {
			top := w.owned("default", "f-top")
			held := w.owned("default", "f-held", refer(top))
			free := w.owned("default", "f-free", func() metav1.OwnerReference { r := refer(top); r.BlockOwnerDeletion = nil; return r }())
			w.change(held, `{"metadata":{"finalizers":["example.com/hold"]}}`)
			w.change(free, `{"metadata":{"finalizers":["example.com/hold"]}}`)
			w.remove(top, metav1.DeletePropagationForeground)
			w.eventually("the dependent is deleted", func() bool { return w.there("default", "f-held").DeletionTimestamp != nil })
			if c := w.there("default", "f-top"); c == nil || c.DeletionTimestamp == nil || !slices.Contains(c.Finalizers, "foregroundDeletion") {
				t.Errorf("the owner has not waited: %+v", c)
			}
			w.change(held, `{"metadata":{"finalizers":null}}`)
			w.gone(top)
			if w.there("default", "f-free") == nil {
				t.Error("what does not block is gone, in spite of its finalizer")
			}
			w.change(free, `{"metadata":{"finalizers":null}}`)
			w.gone(free)
		},
		"as orphans": func(w *world) {
			top := w.owned("default", "o-top")
			var all []*corev1.ConfigMap
			for i := range 30 {
				all = append(all, w.owned("default", fmt.Sprintf("o-%d", i), refer(top)))
			}
			w.remove(top, metav1.DeletePropagationOrphan)
			w.gone(top)
			for _, c := range all {
				if now := w.there("default", c.Name); now == nil || len(now.OwnerReferences) > 0 {
					t.Errorf("left: %+v", now)
				}
			}
		},
		"with another owner that stays": func(w *world) {
			one, two := w.owned("default", "t-one"), w.owned("default", "t-two")
			both := w.owned("default", "t-both", refer(one), refer(two))
			w.remove(one, metav1.DeletePropagationForeground)
			w.gone(one)
			w.eventually("it has one owner", func() bool { return len(w.there("default", both.Name).OwnerReferences) == 1 })
			w.remove(two, metav1.DeletePropagationBackground)
			w.gone(both)
		},
		"in a circle": func(w *world) {
			one := w.owned("default", "c-one")
			two := w.owned("default", "c-two", refer(one))
			three := w.owned("default", "c-three", refer(two))
			w.change(one, fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":%q,"uid":%q,"controller":true,"blockOwnerDeletion":true}]}}`, three.Name, three.UID))
			w.remove(one, metav1.DeletePropagationForeground)
			w.gone(one)
			w.gone(two)
			w.gone(three)
		},
		"whose owner never was": func(w *world) {
			c := w.owned("default", "n-child", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "never", UID: "never"})
			w.gone(c)
		},
		"whose owner has another UID": func(w *world) {
			top := w.owned("default", "u-top")
			ref := refer(top)
			ref.UID = "another"
			w.gone(w.owned("default", "u-child", ref))
			if w.there("default", "u-top") == nil {
				t.Error("the object of that name is gone")
			}
		},
		"whose owner is in another namespace": func(w *world) {
			top := w.owned("kube-public", "x-top")
			child := w.owned("default", "x-child", refer(top))
			w.gone(child)
			want := fmt.Sprintf(`ownerRef [v1/ConfigMap, namespace: default, name: x-top, uid: %s] does not exist in namespace "default"`, top.UID)
			w.eventually("it is told of", func() bool {
				all, err := w.admin.CoreV1().Events("default").List(w.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=x-child"})
				w.must(err)
				return slices.ContainsFunc(all.Items, func(e corev1.Event) bool {
					return e.Type == "Warning" && e.Reason == "OwnerRefInvalidNamespace" && e.Message == want && e.Source.Component == "garbage-collector-controller"
				})
			})
		},
		"but not of unknown kinds": func(w *world) {
			w.owned("default", "k-child", metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Widget", Name: "w", UID: "w"})
			w.gone(w.owned("default", "k-later", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "never", UID: "never2"}))
			time.Sleep(50 * time.Millisecond)
			if w.there("default", "k-child") == nil {
				t.Error("it is gone")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := *w
			in.T = t
			test(&in)
		})
	}
}
