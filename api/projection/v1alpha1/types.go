package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PodProjection tells what the volumes of a pod show: which version of each ConfigMap
// and Secret is in its files, when each token ends and is replaced, and how the last
// update went. It has its pod's name and is owned by it. The agent of the pod's node
// writes it after the files have changed, at most once a second; nobody else does.
type PodProjection struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata. The only owner is the pod, which has the same name.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says whose files are described. It cannot change.
	Spec PodProjectionSpec `json:"spec"`
	// status is what the files show.
	// +optional
	Status PodProjectionStatus `json:"status,omitempty"`
}

// PodProjectionSpec says whose files are described.
type PodProjectionSpec struct {
	// nodeName is the node that the pod is bound to, whose agent writes this object.
	NodeName string `json:"nodeName"`
}

// PodProjectionStatus is what the files of a pod's volumes show.
type PodProjectionStatus struct {
	// conditions say whether the files follow their sources. The known type is InStep:
	// True while every volume shows the newest version of each of its sources.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
	// volumes are the volumes that show API content (projected, secret, configMap and
	// downwardAPI), in the order of the pod's spec.
	// +optional
	// +patchMergeKey=name
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=name
	Volumes []VolumeStatus `json:"volumes,omitempty" patchStrategy:"merge" patchMergeKey:"name"`
}

// VolumeStatus is what one volume shows.
type VolumeStatus struct {
	// name of the volume in the pod's spec.
	Name string `json:"name"`
	// generation is the directory inside the volume that its files are in now; it is
	// another one after every change. Empty before the first publication.
	// +optional
	Generation string `json:"generation,omitempty"`
	// digest tells published trees (paths, bytes, modes, owners) apart without saying
	// anything about them: an HMAC under a key that does not leave the node. Digests
	// are equal where volumes of one namespace on one node show the same.
	// +optional
	Digest string `json:"digest,omitempty"`
	// publishedTime is when the files last changed.
	// +optional
	PublishedTime *metav1.Time `json:"publishedTime,omitempty"`
	// sources are the objects that the volume shows, in the order of the pod's spec.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	Sources []SourceStatus `json:"sources,omitempty"`
	// tokens are the service account tokens that the volume shows.
	// +optional
	// +listType=map
	// +listMapKey=path
	Tokens []TokenStatus `json:"tokens,omitempty"`
	// problem says why the files do not follow their sources. What was published
	// before stays readable meanwhile. Empty when all is well.
	// +optional
	Problem string `json:"problem,omitempty"`
	// checks are the last outcomes of the commands that decide whether an update is
	// published.
	// +optional
	// +listType=map
	// +listMapKey=container
	// +listMapKey=action
	Checks []OutcomeStatus `json:"checks,omitempty"`
	// actions are the last outcomes of what is done in containers when the files have
	// changed.
	// +optional
	// +listType=map
	// +listMapKey=container
	// +listMapKey=action
	Actions []OutcomeStatus `json:"actions,omitempty"`
}

// SourceKind is the kind of an object that volumes show.
// +enum
type SourceKind string

// Kinds of sources. Pod is the pod itself, shown by the Downward API.
const (
	SourceConfigMap SourceKind = "ConfigMap"
	SourceSecret    SourceKind = "Secret"
	SourcePod       SourceKind = "Pod"
)

// SourceStatus is one object that a volume shows.
type SourceStatus struct {
	// kind of the object: ConfigMap, Secret or Pod.
	Kind SourceKind `json:"kind"`
	// name of the object, which is in the pod's namespace.
	Name string `json:"name"`
	// observedVersion is the newest metadata.resourceVersion of the object that the
	// node knows. Empty when the object does not exist.
	// +optional
	ObservedVersion string `json:"observedVersion,omitempty"`
	// publishedVersion is the metadata.resourceVersion of the object that the files
	// show. Empty when they show nothing of it.
	// +optional
	PublishedVersion string `json:"publishedVersion,omitempty"`
}

// TokenStatus is one service account token that a volume shows.
type TokenStatus struct {
	// path of the token's file in the volume.
	Path string `json:"path"`
	// audience that the token is for. Empty means the API server.
	// +optional
	Audience string `json:"audience,omitempty"`
	// issuedTime is when the token in the file was issued. Not set before there is one.
	// +optional
	IssuedTime *metav1.Time `json:"issuedTime,omitempty"`
	// expirationTime is when the token in the file ends. Not set before there is one.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
	// rotationTime is when the node replaces the token.
	// +optional
	RotationTime *metav1.Time `json:"rotationTime,omitempty"`
}

// Result is how a check or an action ended.
// +enum
type Result string

// Results.
const (
	// Succeeded: the command exited with 0, the signal was sent, the container ended
	// to be started again.
	Succeeded Result = "Succeeded"
	// Failed: the command exited with another code, did not end in time, or could not
	// be started.
	Failed Result = "Failed"
	// Rejected: the check refused the update, which is not published.
	Rejected Result = "Rejected"
	// Skipped: there was nobody to ask or to tell, such as a container that does not
	// run. A check that is skipped lets the update pass.
	Skipped Result = "Skipped"
)

// OutcomeStatus is how the last check of an update, or the last action after one,
// ended in a container.
type OutcomeStatus struct {
	// container that was asked or told.
	Container string `json:"container"`
	// action is what was done, such as "signal SIGHUP", "exec nginx" or "restart".
	Action string `json:"action"`
	// result is Succeeded, Failed, Rejected or Skipped.
	Result Result `json:"result"`
	// time at which it ended.
	Time metav1.Time `json:"time"`
	// generation of the volume that was acted upon; empty for checks.
	// +optional
	Generation string `json:"generation,omitempty"`
	// message says more. What a command printed is in it only where the volume shows
	// neither Secrets nor tokens.
	// +optional
	Message string `json:"message,omitempty"`
}

// PodProjectionList is a list of PodProjections.
type PodProjectionList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects of the list.
	Items []PodProjection `json:"items"`
}

// ConditionInStep is True while every volume of the pod shows the newest version of
// each of its sources.
const ConditionInStep = "InStep"

// Reasons of ConditionInStep.
const (
	// ReasonPublished: True, the files show the newest versions.
	ReasonPublished = "Published"
	// ReasonUpdateRejected: a check refused the newest version.
	ReasonUpdateRejected = "UpdateRejected"
	// ReasonProblem: a source is missing or wrong, or the files cannot be written.
	ReasonProblem = "Problem"
	// ReasonBehind: a newer version is known and not published yet.
	ReasonBehind = "Behind"
)

// DigestPrefix begins every digest; 64 hexadecimal digits follow.
const DigestPrefix = "hmac-sha256:"

// Limits of an object, so that it fits into the store whatever the pod looks like. The
// agent leaves out what is beyond and says so in the message of InStep.
const (
	MaxVolumes = 256
	// MaxSources, MaxTokens and MaxOutcomes (checks and actions together) count over all
	// volumes of a pod.
	MaxSources  = 512
	MaxTokens   = 64
	MaxOutcomes = 128
	// MaxMessage is the length of problems and messages in bytes, MaxPath that of paths
	// and audiences, MaxName that of names and actions.
	MaxMessage = 1024
	MaxPath    = 512
	MaxName    = 253
)
