// Package serviceaccount owns the ServiceAccount kind of core/v1: table and
// storage. The token subresource lives in the package token below it, checking
// tokens in internal/tokens/review, the `default` account of each namespace in
// internal/controller/serviceaccount.
package serviceaccount

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes service accounts without the token subresource.
func Definition() resource.Definition[*corev1.ServiceAccount] {
	return resource.Definition[*corev1.ServiceAccount]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "serviceaccounts",
		Singular:     "serviceaccount",
		ShortNames:   []string{"sa"},
		Namespaced:   true,
		New:          func() *corev1.ServiceAccount { return &corev1.ServiceAccount{} },
		NewList:      func() runtime.Object { return &corev1.ServiceAccountList{} },
		Rules: resource.Rules[*corev1.ServiceAccount]{
			PrepareCreate: func(_ context.Context, sa *corev1.ServiceAccount) { keepSecretNames(sa) },
			PrepareUpdate: func(_ context.Context, sa, _ *corev1.ServiceAccount) { keepSecretNames(sa) },
			WarnCreate:    func(_ context.Context, sa *corev1.ServiceAccount) []string { return warnings(sa, nil) },
			WarnUpdate: func(_ context.Context, sa, old *corev1.ServiceAccount) []string {
				return warnings(sa, old.Annotations)
			},
		},
		ReturnDeleted: true,
	}
}

// keepSecretNames drops all but the names of the listed secrets: they are always
// of the account's own namespace.
func keepSecretNames(sa *corev1.ServiceAccount) {
	for i, secret := range sa.Secrets {
		sa.Secrets[i] = corev1.ObjectReference{Name: secret.Name}
	}
}

// enforceMountable limits the secrets that pods of the account may mount; it is
// deprecated upstream since 1.32.
const enforceMountable = "kubernetes.io/enforce-mountable-secrets"

func warnings(sa *corev1.ServiceAccount, before map[string]string) []string {
	value, set := sa.Annotations[enforceMountable]
	if old, was := before[enforceMountable]; !set || was && old == value {
		return nil
	}
	return []string{fmt.Sprintf("metadata.annotations[%s]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets", enforceMountable)}
}
