package apiserver_test

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Objects that are answered and never stored have no owners of fields; all others
// have.
func TestNobodyOwnsTheFieldsOfQuestions(t *testing.T) {
	s := boot(t, t.TempDir())
	for what, ask := range questions() {
		meta, err := ask(t, s.admin())
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if owners := meta.GetManagedFields(); len(owners) > 0 {
			t.Errorf("%s has owners %v", what, owners)
		}
	}
	stored, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned"}, Data: map[string]string{"a": "1"}}, metav1.CreateOptions{})
	must(t, err)
	if len(stored.ManagedFields) != 1 {
		t.Errorf("a stored object has owners %v, want one", stored.ManagedFields)
	}
}

type question func(*testing.T, kubernetes.Interface) (metav1.Object, error)

func questions() map[string]question {
	attributes := &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Namespace: "default"}
	return map[string]question{
		"TokenReview": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			return c.AuthenticationV1().TokenReviews().Create(t.Context(),
				&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "nonsense"}}, metav1.CreateOptions{})
		},
		"SelfSubjectReview": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			return c.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		},
		"SubjectAccessReview": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			return c.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{User: "somebody", ResourceAttributes: attributes}}, metav1.CreateOptions{})
		},
		"SelfSubjectAccessReview": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			return c.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes}}, metav1.CreateOptions{})
		},
		"LocalSubjectAccessReview": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			return c.AuthorizationV1().LocalSubjectAccessReviews("default").Create(t.Context(), &authorizationv1.LocalSubjectAccessReview{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default"},
				Spec:       authorizationv1.SubjectAccessReviewSpec{User: "somebody", ResourceAttributes: attributes}}, metav1.CreateOptions{})
		},
		"SelfSubjectRulesReview": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			return c.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
				Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
		},
		"TokenRequest": func(t *testing.T, c kubernetes.Interface) (metav1.Object, error) {
			_, err := c.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "asker"}}, metav1.CreateOptions{})
			must(t, err)
			return c.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "asker", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		},
	}
}
