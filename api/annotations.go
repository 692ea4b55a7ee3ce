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
	// PodIdentity says what a pod was given to assume an IAM role by its service account,
	// or why nothing. The server writes it when the pod is created; it is for people.
	PodIdentity = "laterna.dev/pod-identity"
	// LocalSTS, "true" or "false", on a pod or else on its service account: whether the
	// pod's AWS clients are led to the STS of this system. Without it --aws-local-sts says
	// so of pods with a role, and no others are.
	LocalSTS = "laterna.dev/local-sts"
)

// IssuerRevision is an annotation of nodes: the revision of
// kubeapiservers.operator.openshift.io/cluster that the tokens of all pods of the node
// are of, as a decimal number. The node's agent writes it.
const IssuerRevision = "laterna.dev/issuer-revision"

// ClusterDNS is an annotation of nodes: where the DNS of the node listens, an address with a
// port. The node's agent writes it; the service kube-dns leads the node's pods there.
const ClusterDNS = "laterna.dev/cluster-dns"

// ClusterDNSError is an annotation of nodes that ought to have a DNS: why there is none. The
// node's agent writes it.
const ClusterDNSError = "laterna.dev/cluster-dns-error"

// GeneratedToken is an annotation of Secrets: "true" on those with a token that the server
// made for a service account because legacy tokens are on. An account that has lost its
// list of Secrets gets such a one back.
const GeneratedToken = "laterna.dev/generated-token"

// Annotations of Deployments, StatefulSets and DaemonSets and of their pod templates.
const (
	// RolloutOnChange has one rolled out anew when what its pods read has changed: "auto",
	// or a list of configmap/NAME and secret/NAME, separated by commas.
	RolloutOnChange = "laterna.dev/rollout-on-change"
	// ContentDigests is an annotation of the pod template, which the server writes: what
	// was read when this revision came up, as a list of configmap/NAME=DIGEST and
	// secret/NAME=DIGEST. Digests are keyed by a key of the server.
	ContentDigests = "laterna.dev/content-digests"
)
