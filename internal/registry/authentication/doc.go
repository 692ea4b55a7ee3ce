// Package authentication owns the reviews of authentication.k8s.io/v1: TokenReview and
// SelfSubjectReview. They are answered and never stored.
//
// What makes a service account token good is decided in internal/tokens/review; the
// third kind of the group, TokenRequest, is served by
// internal/registry/core/serviceaccount/token.
package authentication
