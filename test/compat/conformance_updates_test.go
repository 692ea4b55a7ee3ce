package compat

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// write makes an object hold data, whether or not it is there.
func (s *stage) write(t testing.TB, k kind, name string, data map[string]string) {
	t.Helper()
	ctx, meta := t.Context(), metav1.ObjectMeta{Name: name}
	var err error
	if k == configMapFiles || k == projectedConfigMapFiles {
		object := &corev1.ConfigMap{ObjectMeta: meta, Data: data}
		if _, err = s.client.CoreV1().ConfigMaps(s.ns).Update(ctx, object, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
			_, err = s.client.CoreV1().ConfigMaps(s.ns).Create(ctx, object, metav1.CreateOptions{})
		}
	} else {
		object := &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{}}
		for key, value := range data {
			object.Data[key] = []byte(value)
		}
		if _, err = s.client.CoreV1().Secrets(s.ns).Update(ctx, object, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
			_, err = s.client.CoreV1().Secrets(s.ns).Create(ctx, object, metav1.CreateOptions{})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// remove deletes an object.
func (s *stage) remove(t testing.TB, k kind, name string) {
	t.Helper()
	remove := s.client.CoreV1().Secrets(s.ns).Delete
	if k == configMapFiles || k == projectedConfigMapFiles {
		remove = s.client.CoreV1().ConfigMaps(s.ns).Delete
	}
	if err := remove(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestConformanceUpdates(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		behaviour string
		kind      kind
	}{
		{behaviour: "[sig-storage] ConfigMap updates should be reflected in volume", kind: configMapFiles},
		{behaviour: "[sig-storage] Projected configMap updates should be reflected in volume", kind: projectedConfigMapFiles},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			object := s.object(t, tc.kind, map[string]string{"data-1": "value-1"})
			pod := shell(s.name("pod"), forever)
			mount(pod, "/etc/volume", tc.kind.source(object, files{}))
			pod = s.runs(t, pod)
			s.until(t, pod, `[ "$(cat /etc/volume/data-1)" = value-1 ]`)
			s.write(t, tc.kind, object, map[string]string{"data-1": "value-2"})
			s.until(t, pod, `[ "$(cat /etc/volume/data-1)" = value-2 ]`)
		})
	}

	for _, tc := range []struct {
		behaviour string
		kind      kind
	}{
		{behaviour: "[sig-storage] ConfigMap optional updates should be reflected in volume", kind: configMapFiles},
		{behaviour: "[sig-storage] Projected configMap optional updates should be reflected in volume", kind: projectedConfigMapFiles},
		{behaviour: "[sig-storage] Secrets optional updates should be reflected in volume", kind: secretFiles},
		{behaviour: "[sig-storage] Projected secret optional updates should be reflected in volume", kind: projectedSecretFiles},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) { s.optionalUpdates(t, tc.kind) })
	}

	s.conforms(t, "[sig-storage] ConfigMap binary data should be reflected in volume", func(t *testing.T) {
		made, err := s.client.CoreV1().ConfigMaps(s.ns).Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: s.name("binary")},
			Data:       map[string]string{"data-1": "value-1"},
			BinaryData: map[string][]byte{"dump.bin": {0xde, 0xca, 0xfe, 0xba, 0xd0, 0xfe, 0xff}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pod := shell(s.name("pod"), "cat /etc/volume/data-1 && od -An -tx1 /etc/volume/dump.bin")
		mount(pod, "/etc/volume", configMapFiles.source(made.Name, files{}))
		if got, want := s.output(t, pod), "value-1 de ca fe ba d0 fe ff\n"; got != want {
			t.Errorf("the pod prints %q, want %q", got, want)
		}
	})
}

// optionalUpdates tries a running pod with three optional objects: one that is
// deleted, one that is changed and one that appears.
func (s *stage) optionalUpdates(t *testing.T, k kind) {
	gone := s.object(t, k, map[string]string{"data-1": "value-1"})
	changed := s.object(t, k, map[string]string{"data-1": "value-1"})
	late := s.name("late")
	pod := shell(s.name("pod"), forever)
	optional := files{optional: new(true)}
	mount(pod, "/etc/volumes/delete", k.source(gone, optional))
	mount(pod, "/etc/volumes/update", k.source(changed, optional))
	mount(pod, "/etc/volumes/create", k.source(late, optional))
	pod = s.runs(t, pod)
	before, err := s.inside(t, pod, "cd /etc/volumes; echo `ls create` `cat delete/* update/*` `ls delete update`")
	if want := "value-1value-1 delete: data-1 update: data-1\n"; err != nil || before != want {
		t.Errorf("before the changes: %q, %v, want %q", before, err, want)
	}

	s.remove(t, k, gone)
	s.write(t, k, changed, map[string]string{"data-3": "value-3"})
	s.write(t, k, late, map[string]string{"data-1": "value-1"})
	s.until(t, pod, `[ "$(cat /etc/volumes/create/data-1)" = value-1 ]`)
	s.until(t, pod, `[ "$(cat /etc/volumes/update/data-3)" = value-3 -a ! -e /etc/volumes/update/data-1 ]`)
	s.until(t, pod, `[ ! -e /etc/volumes/delete/data-1 ]`)
}

// holder is a ConfigMap or Secret with its client.
type holder struct {
	create, update, refresh, delete func() error
	// The fields of the copy that update sends.
	data      func(key, value string)
	immutable func() **bool
	meta      func() *metav1.ObjectMeta
}

func TestConformanceImmutable(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-storage] ConfigMap should be immutable if `immutable` field is set", func(t *testing.T) {
		client, ctx := s.client.CoreV1().ConfigMaps(s.ns), t.Context()
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "immutable"}, Data: threeValues()}
		becomesImmutable(t, holder{
			create: func() (err error) { object, err = client.Create(ctx, object, metav1.CreateOptions{}); return err },
			update: func() error {
				made, err := client.Update(ctx, object, metav1.UpdateOptions{})
				if err == nil {
					object = made
				}
				return err
			},
			refresh:   func() (err error) { object, err = client.Get(ctx, "immutable", metav1.GetOptions{}); return err },
			delete:    func() error { return client.Delete(context.Background(), "immutable", metav1.DeleteOptions{}) },
			data:      func(key, value string) { object.Data[key] = value },
			immutable: func() **bool { return &object.Immutable },
			meta:      func() *metav1.ObjectMeta { return &object.ObjectMeta },
		})
	})
	s.conforms(t, "[sig-storage] Secrets should be immutable if `immutable` field is set", func(t *testing.T) {
		client, ctx := s.client.CoreV1().Secrets(s.ns), t.Context()
		object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "immutable"}, StringData: threeValues()}
		becomesImmutable(t, holder{
			create: func() (err error) { object, err = client.Create(ctx, object, metav1.CreateOptions{}); return err },
			update: func() error {
				made, err := client.Update(ctx, object, metav1.UpdateOptions{})
				if err == nil {
					object = made
				}
				return err
			},
			refresh:   func() (err error) { object, err = client.Get(ctx, "immutable", metav1.GetOptions{}); return err },
			delete:    func() error { return client.Delete(context.Background(), "immutable", metav1.DeleteOptions{}) },
			data:      func(key, value string) { object.Data[key] = []byte(value) },
			immutable: func() **bool { return &object.Immutable },
			meta:      func() *metav1.ObjectMeta { return &object.ObjectMeta },
		})
	})
}

// becomesImmutable takes an object from mutable to immutable to deleted.
func becomesImmutable(t *testing.T, h holder) {
	t.Helper()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	refused := func(what string) {
		t.Helper()
		if err := h.update(); !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v, want it to be invalid", what, err)
		} else {
			contains(t, err.Error(), "field is immutable when `immutable` is set")
		}
		must("reading it again", h.refresh())
		if on := *h.immutable(); on == nil || !*on {
			t.Fatalf("%s: it is mutable now", what)
		}
	}
	must("creating", h.create())
	h.data("data-4", "value-4")
	must("changing data", h.update())
	*h.immutable() = new(true)
	must("making it immutable", h.update())
	h.data("data-5", "value-5")
	refused("changing data of an immutable object")
	*h.immutable() = new(false)
	refused("making it mutable")
	*h.immutable() = nil
	refused("taking the field away")
	h.meta().Labels = map[string]string{"label1": "value1"}
	must("changing labels", h.update())
	must("deleting", h.delete())
}
