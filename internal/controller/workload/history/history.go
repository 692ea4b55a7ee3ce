// Package history is what StatefulSets and DaemonSets remember of their pod templates: a
// ControllerRevision holds one, as the patch that brings it back, and numbers say which
// came later. It says which are equal and which may go, and writes them (keep.go).
//
// Whose revisions are whose is decided by internal/controller/workload, which revision a
// pod is made from in the packages of the controllers.
package history

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/dump"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/rand"
)

// Label is what revisions of StatefulSets carry their hash by; those of DaemonSets have
// appsv1.ControllerRevisionHashLabelKey, as their pods do.
const Label = "controller.kubernetes.io/hash"

// longestParent is how much of a parent's name is in that of a revision.
const longestParent = 223

// Data is what a revision says of a template: the strategic merge patch that puts it in
// the place of another. kubectl makes the same bytes to see what is rolled back to.
func Data(template *corev1.PodTemplateSpec) ([]byte, error) {
	plain, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("encoding the template: %w", err)
	}
	var fields map[string]any
	if err := utiljson.Unmarshal(plain, &fields); err != nil {
		return nil, fmt.Errorf("reading the template back: %w", err)
	}
	fields["$patch"] = "replace"
	return json.Marshal(map[string]any{"spec": map[string]any{"template": fields}})
}

// Template is what a revision holds.
func Template(r *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var held struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(r.Data.Raw, &held); err != nil {
		return nil, fmt.Errorf("reading revision %s: %w", r.Name, err)
	}
	if held.Spec.Template == nil {
		return nil, errors.New("revision " + r.Name + " has no template")
	}
	return held.Spec.Template, nil
}

// New is a revision of a parent with a template, without a name and without the label of
// its hash.
func New(parent metav1.Object, kind schema.GroupVersionKind, template *corev1.PodTemplateSpec, number int64) (*appsv1.ControllerRevision, error) {
	data, err := Data(template)
	if err != nil {
		return nil, err
	}
	labels := maps.Clone(template.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: parent.GetNamespace(), Labels: labels, Annotations: maps.Clone(parent.GetAnnotations()),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(parent, kind)},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: number,
	}, nil
}

// Name is that of a revision of a parent with a hash.
func Name(parent, hash string) string {
	if len(parent) > longestParent {
		parent = parent[:longestParent]
	}
	return parent + "-" + hash
}

// HashOfData is the hash of what a revision holds, another for each count of collisions.
func HashOfData(data []byte, collisions int32) string {
	h := fnv.New32()
	h.Write(data)
	h.Write([]byte(strconv.FormatInt(int64(collisions), 10)))
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// HashOfTemplate is the hash of a template, another for each count of collisions. It may
// be another in a later version: nothing is decided by it.
func HashOfTemplate(template *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(*template))
	if collisions != nil {
		n := uint32(*collisions)
		h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 0, 0, 0, 0})
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// Sort orders revisions from the first to the last.
func Sort(all []*appsv1.ControllerRevision) {
	slices.SortFunc(all, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

// Next is the number of a revision that is to be the last. There is none after the
// greatest, which somebody may have written.
func Next(all []*appsv1.ControllerRevision) int64 {
	last := int64(0)
	for _, r := range all {
		last = max(last, r.Revision)
	}
	if last == math.MaxInt64 {
		return last
	}
	return last + 1
}

// Equal tells whether a revision holds a template. One that was written by another version
// of the API, with other fields or fewer defaults, holds the template that defaults makes
// of it; a change of the API would roll everything out otherwise.
func Equal(r *appsv1.ControllerRevision, data []byte, template *corev1.PodTemplateSpec, defaults func(*corev1.PodSpec)) bool {
	if bytes.Equal(r.Data.Raw, data) {
		return true
	}
	held, err := Template(r)
	if err != nil {
		return false
	}
	now := template.DeepCopy()
	defaults(&held.Spec)
	defaults(&now.Spec)
	return equality.Semantic.DeepEqual(held, now)
}

// Surplus are the revisions, of some in order, that are more than limit that nobody uses:
// the first ones. A negative limit keeps all.
func Surplus(ordered []*appsv1.ControllerRevision, limit int, used func(*appsv1.ControllerRevision) bool) []*appsv1.ControllerRevision {
	if limit < 0 {
		return nil
	}
	unused := slices.DeleteFunc(slices.Clone(ordered), used)
	return unused[:max(len(unused)-limit, 0)]
}
