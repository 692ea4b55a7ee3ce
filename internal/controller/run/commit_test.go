package run_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/run"
)

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	writes := 0
	refused := errors.New("no")
	var answer error
	commit := run.Commits(env.Env{}, func(_ context.Context, c *corev1.ConfigMap, _ metav1.UpdateOptions) (*corev1.ConfigMap, error) {
		writes++
		stored := c.DeepCopy()
		stored.ResourceVersion = "2"
		return stored, answer
	})
	before := configMap("a")
	same := before.DeepCopy()
	same.Labels = map[string]string{} // as good as none
	if got, err := commit(t.Context(), before, same); err != nil || got != before || writes != 0 {
		t.Errorf("the same: %v, %v, %d writes", got, err, writes)
	}
	after := before.DeepCopy()
	after.Data = map[string]string{"k": "v"}
	if got, err := commit(t.Context(), before, after); err != nil || got.ResourceVersion != "2" || writes != 1 {
		t.Errorf("another: %v, %v, %d writes", got, err, writes)
	}
	if before.Data != nil || after.ResourceVersion != "" {
		t.Error("the objects that were given have changed")
	}
	answer = refused
	if _, err := commit(t.Context(), before, after); !errors.Is(err, refused) || writes != 2 {
		t.Errorf("refused: %v, %d writes", err, writes)
	}
}

func TestMootCreations(t *testing.T) {
	things := corev1.Resource("things")
	ending := apierrors.NewForbidden(things, "a", errors.New("ending"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, tc := range []struct {
		err  error
		moot bool
	}{
		{apierrors.NewAlreadyExists(things, "a"), true},
		{apierrors.NewNotFound(things, "a"), true},
		{ending, true},
		{fmt.Errorf("creating: %w", ending), true},
		{apierrors.NewForbidden(things, "a", errors.New("no right")), false},
		{errors.New("no"), false},
		{nil, false},
	} {
		if got := run.Moot(tc.err); got != tc.moot {
			t.Errorf("%v: %v", tc.err, got)
		}
	}
}

func TestOvertakenWrites(t *testing.T) {
	things := corev1.Resource("things")
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{apierrors.NewNotFound(things, "a"), true},
		{fmt.Errorf("writing: %w", apierrors.NewConflict(things, "a", errors.New("changed"))), true},
		{apierrors.NewAlreadyExists(things, "a"), false},
		{apierrors.NewForbidden(things, "a", errors.New("no right")), false},
		{nil, false},
	} {
		if got := run.Overtaken(tc.err); got != tc.want {
			t.Errorf("%v: %v", tc.err, got)
		}
	}
}
