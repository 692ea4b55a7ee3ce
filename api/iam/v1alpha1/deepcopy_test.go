package v1alpha1_test

import (
	"testing"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/test/copies"
)

func TestCopiesShareNothing(t *testing.T) {
	copies.ShareNothing(t, func() *v1alpha1.OpenIDConnectProviderList { return &v1alpha1.OpenIDConnectProviderList{} })
	copies.ShareNothing(t, func() *v1alpha1.RoleList { return &v1alpha1.RoleList{} })
	copies.ShareNothing(t, func() *v1alpha1.PolicyList { return &v1alpha1.PolicyList{} })
}
