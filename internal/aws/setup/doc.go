// Package setup prepares an account for a cluster's workloads: the cluster's own issuer as
// a provider, a role for a service account, and a key with which the account is
// administrated.
//
// It owns what is made and when it is left as it is; `laterna aws init` says it. What the
// objects mean is said in internal/aws/iam and api/iam.
package setup
