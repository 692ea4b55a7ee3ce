// Package v1alpha1 is the API group iam.laterna.dev, version v1alpha1: kinds
// OpenIDConnectProvider, Role and Policy, what AWS's Identity and Access Management knows
// of accounts that this system plays.
//
// It owns the Go types and what they promise. The same objects are seen and written by
// the IAM Query API (aws iam …) and by kubectl; the system's own STS decides by them who
// may assume which role. What is checked lives in internal/registry/iam. Names of objects
// are made of what identifies them, see RoleName, PolicyName and ProviderName. Objects are
// JSON or YAML; there is no protobuf form.
//
// +groupName=iam.laterna.dev
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.laterna.iam.v1alpha1
package v1alpha1
