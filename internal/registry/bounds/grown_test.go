package bounds_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/registry/bounds"
)

func TestListsDoNotGrowPastTheBoundInPieces(t *testing.T) {
	account := func(finalizers, secrets int) *corev1.ServiceAccount {
		a := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
		for i := range finalizers {
			a.Finalizers = append(a.Finalizers, fmt.Sprintf("e.x/%d", i))
		}
		for i := range secrets {
			a.Secrets = append(a.Secrets, corev1.ObjectReference{Name: fmt.Sprint(i)})
		}
		return a
	}
	const most = bounds.MaxMembers
	for _, c := range []struct {
		old, obj *corev1.ServiceAccount
		want     string
	}{
		{account(1, 1), account(most, most), ""},
		{account(most, 0), account(most+1, 0), "metadata.finalizers: Too many: 10001: must have at most 10000 items"},
		{account(0, most), account(0, most+1), "secrets: Too many: 10001: must have at most 10000 items"},
		{account(most+2, 0), account(most+2, 5), ""},
		{account(most+2, 0), account(most+1, 0), ""},
	} {
		got := ""
		if err := bounds.Grown(c.obj, c.old); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%d, %d: %q, want %q", len(c.obj.Finalizers), len(c.obj.Secrets), got, c.want)
		}
	}
}
