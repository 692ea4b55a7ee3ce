package v1alpha1_test

import (
	"testing"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/test/copies"
)

func TestCopiesShareNothing(t *testing.T) {
	copies.ShareNothing(t, func() *v1alpha1.PodProjectionList { return &v1alpha1.PodProjectionList{} })
}

func TestNilCopiesStayNil(t *testing.T) {
	var p *v1alpha1.PodProjection
	var l *v1alpha1.PodProjectionList
	var s *v1alpha1.PodProjectionStatus
	if p.DeepCopy() != nil || l.DeepCopy() != nil || s.DeepCopy() != nil {
		t.Error("the copy of nothing is something")
	}
	if p.DeepCopyObject() != nil || l.DeepCopyObject() != nil {
		t.Error("the copy of no object is one")
	}
	if got := (&v1alpha1.PodProjection{}).DeepCopy(); got.Status.Volumes != nil || got.Status.Conditions != nil {
		t.Errorf("lists appeared: %+v", got.Status)
	}
}
