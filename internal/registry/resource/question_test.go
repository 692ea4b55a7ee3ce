package resource_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// TestQuestionsAreCheckedThenAdmittedThenAnswered lets each step fail, and looks at
// which were taken.
func TestQuestionsAreCheckedThenAdmittedThenAnswered(t *testing.T) {
	type review = authorizationv1.SelfSubjectRulesReview
	for failing, want := range map[string]string{
		"":       "check admit answer",
		"check":  "check",
		"admit":  "check admit",
		"answer": "check admit answer",
	} {
		var steps []string
		step := func(name string) error {
			if steps = append(steps, name); name == failing {
				return errors.New(name)
			}
			return nil
		}
		q := resource.Question[*review]{
			Plural: "reviews", Singular: "review",
			New:   func() *review { return &review{} },
			Check: func(context.Context, *review) error { return step("check") },
			Answer: func(_ context.Context, r *review) (*review, error) {
				r.Status.Incomplete = true
				return r, step("answer")
			},
		}
		admit := func(_ context.Context, obj runtime.Object) error {
			obj.(*review).Spec.Namespace = "changed" // a copy
			return step("admit")
		}
		asked := &review{}
		got, err := q.Storages()["reviews"].(rest.Creater).Create(t.Context(), asked, admit, nil)
		if strings.Join(steps, " ") != want || asked.Spec.Namespace != "" {
			t.Errorf("%q fails: took %v, want %s; spec %+v", failing, steps, want, asked.Spec)
		}
		switch failing {
		case "":
			if r, ok := got.(*review); err != nil || !ok || !r.Status.Incomplete {
				t.Errorf("answer %v, %v", got, err)
			}
		default:
			if err == nil || err.Error() != failing || got != nil {
				t.Errorf("%s fails: %v, %v", failing, got, err)
			}
		}
	}
}

func TestQuestionsAreOfOneKind(t *testing.T) {
	q := resource.Question[*authorizationv1.SelfSubjectRulesReview]{
		Plural: "reviews", Singular: "review", Namespaced: true,
		New: func() *authorizationv1.SelfSubjectRulesReview { return &authorizationv1.SelfSubjectRulesReview{} },
	}
	s := q.Storages()["reviews"]
	if _, err := s.(rest.Creater).Create(t.Context(), &corev1.Pod{}, nil, nil); !apierrors.IsBadRequest(err) || err.Error() != "not a SelfSubjectRulesReview: *v1.Pod" {
		t.Errorf("another kind: %v", err)
	}
	if !s.(rest.Scoper).NamespaceScoped() || s.(rest.SingularNameProvider).GetSingularName() != "review" {
		t.Error("scope or name is not that of the kind")
	}
	for _, other := range []bool{isA[rest.Getter](s), isA[rest.Lister](s), isA[rest.Updater](s), isA[rest.GracefulDeleter](s)} {
		if other {
			t.Error("what is never stored can be read or changed")
		}
	}
}

func isA[T any](s rest.Storage) bool {
	_, ok := s.(T)
	return ok
}
