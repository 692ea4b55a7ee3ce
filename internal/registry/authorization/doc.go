// Package authorization owns the four access reviews of authorization.k8s.io/v1: from
// a review's spec to the attributes of a request, from a decision to a status, and
// validation. Reviews are answered and never stored.
//
// Deciding lives in internal/authz, the storage of what is never stored in
// internal/registry/resource.
package authorization
