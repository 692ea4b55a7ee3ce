package v1alpha1_test

import (
	"testing"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/test/copies"
)

func TestCopiesShareNothing(t *testing.T) {
	copies.ShareNothing(t, func() *v1alpha1.SigningKeyList { return &v1alpha1.SigningKeyList{} })
}

func TestNilCopiesStayNil(t *testing.T) {
	var p *v1alpha1.SigningKey
	var l *v1alpha1.SigningKeyList
	var s *v1alpha1.SigningKeyStatus
	if p.DeepCopy() != nil || l.DeepCopy() != nil || s.DeepCopy() != nil {
		t.Error("the copy of nothing is something")
	}
	if p.DeepCopyObject() != nil || l.DeepCopyObject() != nil {
		t.Error("the copy of no object is one")
	}
	if got := (&v1alpha1.SigningKeyList{}).DeepCopy(); got.Items != nil {
		t.Errorf("a list appeared: %+v", got.Items)
	}
}
