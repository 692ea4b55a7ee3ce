package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Types of conditions of a KubeAPIServer, and their reasons.
const (
	// NodeInstallerProgressing is True while nodes have still to replace tokens.
	NodeInstallerProgressing = "NodeInstallerProgressing"
	// ServiceAccountIssuerDegraded is True when the issuer that is asked for cannot be
	// taken.
	ServiceAccountIssuerDegraded = "ServiceAccountIssuerDegraded"
	// StaticPodsAvailable is True when at least one node has tokens of some revision.
	StaticPodsAvailable = "StaticPodsAvailable"

	// ReasonAllNodesAtLatestRevision is that of NodeInstallerProgressing at rest.
	ReasonAllNodesAtLatestRevision = "AllNodesAtLatestRevision"
	// ReasonZeroNodesActive is that of StaticPodsAvailable when it is False.
	ReasonZeroNodesActive = "ZeroNodesActive"
)

// KubeAPIServer shows how the API server is configured. There is one, named cluster.
type KubeAPIServer struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what operators set.
	// +optional
	Spec KubeAPIServerSpec `json:"spec,omitempty"`
	// status is what holds now.
	// +optional
	Status KubeAPIServerStatus `json:"status,omitempty"`
}

// KubeAPIServerSpec is what operators set.
type KubeAPIServerSpec struct {
	// managementState is whether changes are carried out: only "Managed" is taken,
	// which is the default.
	// +optional
	ManagementState string `json:"managementState,omitempty"`
	// forceRedeploymentReason makes a new revision whenever it changes: all nodes
	// replace the tokens of their pods. Any text that was not there before will do.
	// +optional
	ForceRedeploymentReason string `json:"forceRedeploymentReason,omitempty"`
}

// KubeAPIServerStatus is what holds now.
type KubeAPIServerStatus struct {
	// observedGeneration is the generation of spec that the status belongs to.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions tell how far a change has come. Known types are
	// NodeInstallerProgressing, StaticPodsAvailable and ServiceAccountIssuerDegraded.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []OperatorCondition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
	// latestAvailableRevision grows with every change of the issuer and with every
	// change of the key that signs.
	// +optional
	LatestAvailableRevision int32 `json:"latestAvailableRevision,omitempty"`
	// nodeStatuses are the nodes that report, and the revision that the tokens of
	// their pods are of.
	// +optional
	// +patchMergeKey=nodeName
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=nodeName
	NodeStatuses []NodeStatus `json:"nodeStatuses,omitempty" patchStrategy:"merge" patchMergeKey:"nodeName"`
	// serviceAccountIssuers are the issuers whose tokens are accepted. The one without
	// an expirationTime issues new tokens.
	// +optional
	// +listType=atomic
	ServiceAccountIssuers []ServiceAccountIssuerStatus `json:"serviceAccountIssuers,omitempty"`
	// signingKeyID is the key that signs new tokens (the header kid) as of the latest
	// revision. OpenShift does not have this field.
	// +optional
	SigningKeyID string `json:"signingKeyID,omitempty"`
}

// OperatorCondition is one condition.
type OperatorCondition struct {
	// type of the condition.
	Type string `json:"type"`
	// status is True, False or Unknown.
	Status string `json:"status"`
	// lastTransitionTime is when status last changed.
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty"`
	// reason is one word, empty while a change is being carried out.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message is for people.
	// +optional
	Message string `json:"message,omitempty"`
}

// NodeStatus is how far one node has come.
type NodeStatus struct {
	// nodeName is the node.
	NodeName string `json:"nodeName"`
	// currentRevision is the revision that the tokens of the node's pods are of.
	CurrentRevision int32 `json:"currentRevision"`
	// targetRevision is the revision that the node is on its way to, 0 at rest.
	// +optional
	TargetRevision int32 `json:"targetRevision,omitempty"`
}

// ServiceAccountIssuerStatus is an issuer whose tokens are accepted.
type ServiceAccountIssuerStatus struct {
	// name is the issuer, the value of the claim iss.
	Name string `json:"name"`
	// expirationTime is when its tokens are no longer accepted. The issuer of new
	// tokens has none.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}

// KubeAPIServerList is a list of KubeAPIServers.
type KubeAPIServerList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the KubeAPIServers.
	Items []KubeAPIServer `json:"items"`
}
