// Package api holds the names that this project adds to the Kubernetes API. The types
// it adds live in the packages below it, one for each API group or annotation.
package api

// Annotations of pods.
const (
	// OnUpdate holds the rules of package onupdate: what to run in the containers of a
	// pod before and after its volumes change.
	OnUpdate = "laterna.dev/on-update"
	// SubPathUpdates, when "true", lets files and directories that are mounted by
	// subPath follow the updates of their volume while their container runs.
	SubPathUpdates = "laterna.dev/subpath-updates"
)

// IssuerRevision is an annotation of nodes: the revision of
// kubeapiservers.operator.openshift.io/cluster that the tokens of all pods of the node
// are of, as a decimal number. The node's agent writes it.
const IssuerRevision = "laterna.dev/issuer-revision"

// GeneratedToken is an annotation of Secrets: "true" on those with a token that the server
// made for a service account because legacy tokens are on. An account that has lost its
// list of Secrets gets such a one back.
const GeneratedToken = "laterna.dev/generated-token"
