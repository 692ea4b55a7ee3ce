package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OpenIDConnectProvider is an issuer of tokens that roles of an account may trust. Its
// name is that which ProviderName gives: 111122223333:issuer.example~1id for
// https://issuer.example/id.
type OpenIDConnectProvider struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the provider is. Account and URL cannot be changed.
	// +optional
	Spec OpenIDConnectProviderSpec `json:"spec,omitempty"`
	// status is what the server says of it.
	// +optional
	Status OpenIDConnectProviderStatus `json:"status,omitempty"`
}

// OpenIDConnectProviderSpec is what a provider is.
type OpenIDConnectProviderSpec struct {
	// partition is aws, aws-cn or aws-us-gov. Defaults to aws.
	// +optional
	Partition string `json:"partition,omitempty"`
	// account is the account's twelve digits. Defaults to that in the object's name.
	// +optional
	Account string `json:"account,omitempty"`
	// url is the issuer, beginning with https://. Tokens name it letter by letter, also
	// whether it ends with a slash. Defaults to that in the object's name.
	// +optional
	URL string `json:"url,omitempty"`
	// clientIDs are the audiences that are accepted, 100 at most.
	// +optional
	// +listType=atomic
	ClientIDs []string `json:"clientIDs,omitempty"`
	// thumbprints are SHA-1 digests, 40 characters each, of the last certificate in the
	// chain that the host of the issuer's keys shows. They count where that host's
	// certificate is not signed by an authority that the server trusts. 5 at most.
	// +optional
	// +listType=atomic
	Thumbprints []string `json:"thumbprints,omitempty"`
	// tags are labels of AWS, 50 at most. Keys that differ in letter case differ.
	// +optional
	// +listType=map
	// +listMapKey=key
	Tags []Tag `json:"tags,omitempty"`
}

// OpenIDConnectProviderStatus is what the server says of a provider.
type OpenIDConnectProviderStatus struct {
	// arn is the provider's name in trust policies.
	// +optional
	ARN string `json:"arn,omitempty"`
	// createDate is when it was made.
	// +optional
	CreateDate *metav1.MicroTime `json:"createDate,omitempty"`
}

// Role is a role of an account. Its name is that which RoleName gives:
// 111122223333:deployer for the role Deployer.
type Role struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the role is. Partition, account, name and path cannot be changed.
	// +optional
	Spec RoleSpec `json:"spec,omitempty"`
	// status is what the server says of it.
	// +optional
	Status RoleStatus `json:"status,omitempty"`
}

// RoleSpec is what a role is.
type RoleSpec struct {
	// partition is aws, aws-cn or aws-us-gov. Defaults to aws.
	// +optional
	Partition string `json:"partition,omitempty"`
	// account is the account's twelve digits. Defaults to that in the object's name.
	// +optional
	Account string `json:"account,omitempty"`
	// roleName is the role's name in the spelling that ARNs show. Defaults to that in
	// the object's name.
	// +optional
	RoleName string `json:"roleName,omitempty"`
	// path stands before the name in the ARN; it begins and ends with a slash. Defaults
	// to /.
	// +optional
	Path string `json:"path,omitempty"`
	// description is for people, 1000 characters at most.
	// +optional
	Description string `json:"description,omitempty"`
	// assumeRolePolicyDocument is the trust policy: the JSON text that says who may
	// assume the role. It is kept byte for byte.
	// +optional
	AssumeRolePolicyDocument string `json:"assumeRolePolicyDocument,omitempty"`
	// maxSessionDuration is how long a session may last, in seconds: 3600, the default,
	// to 43200.
	// +optional
	MaxSessionDuration int32 `json:"maxSessionDuration,omitempty"`
	// inlinePolicies are policies that belong to the role alone.
	// +optional
	// +listType=map
	// +listMapKey=name
	InlinePolicies []InlinePolicy `json:"inlinePolicies,omitempty"`
	// attachedPolicies are ARNs of managed policies, 20 at most.
	// +optional
	// +listType=atomic
	AttachedPolicies []string `json:"attachedPolicies,omitempty"`
	// permissionsBoundary is the ARN of the managed policy that bounds what the role's
	// policies can allow.
	// +optional
	PermissionsBoundary string `json:"permissionsBoundary,omitempty"`
	// tags are labels of AWS, 50 at most. Keys that differ only in letter case are the
	// same.
	// +optional
	// +listType=map
	// +listMapKey=key
	Tags []Tag `json:"tags,omitempty"`
}

// InlinePolicy is a policy that belongs to one role.
type InlinePolicy struct {
	// name is unique in its role ignoring case.
	Name string `json:"name"`
	// document is the JSON text of the policy. It is kept byte for byte.
	Document string `json:"document"`
}

// Tag is a label of AWS.
type Tag struct {
	// key of 1 to 128 characters.
	Key string `json:"key"`
	// value of 0 to 256 characters.
	// +optional
	Value string `json:"value,omitempty"`
}

// RoleStatus is what the server says of a role.
type RoleStatus struct {
	// roleID is AROA and 17 characters. A role that is made again has another.
	// +optional
	RoleID string `json:"roleID,omitempty"`
	// arn is the role's name, as pods and trust policies have it.
	// +optional
	ARN string `json:"arn,omitempty"`
	// principals are the roles that the trust policy names, with the ids that they had
	// when it was written: a role that was made again is not the one that was trusted.
	// +optional
	// +listType=atomic
	Principals []Principal `json:"principals,omitempty"`
}

// Principal is a role as a trust policy means it.
type Principal struct {
	// arn is its name in the policy.
	ARN string `json:"arn"`
	// id is its unique id.
	ID string `json:"id"`
}

// Policy is a managed policy: what roles that it is attached to may do. Its name is that
// which PolicyName gives.
type Policy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the policy is. Partition, account, name and path cannot be changed.
	// +optional
	Spec PolicySpec `json:"spec,omitempty"`
	// status is what the server says of it.
	// +optional
	Status PolicyStatus `json:"status,omitempty"`
}

// PolicySpec is what a managed policy is.
type PolicySpec struct {
	// partition is aws, aws-cn or aws-us-gov. Defaults to aws.
	// +optional
	Partition string `json:"partition,omitempty"`
	// account is the account's twelve digits, or aws for the policies that AWS manages.
	// Defaults to that in the object's name.
	// +optional
	Account string `json:"account,omitempty"`
	// policyName is the policy's name in the spelling that ARNs show. Defaults to that
	// in the object's name.
	// +optional
	PolicyName string `json:"policyName,omitempty"`
	// path stands before the name in the ARN; it begins and ends with a slash. Defaults
	// to /.
	// +optional
	Path string `json:"path,omitempty"`
	// description is for people, 1000 characters at most. It cannot be changed by AWS's
	// API.
	// +optional
	Description string `json:"description,omitempty"`
	// document is the JSON text of the policy. It is kept byte for byte.
	// +optional
	Document string `json:"document,omitempty"`
	// tags are labels of AWS, 50 at most. Keys that differ in letter case differ.
	// +optional
	// +listType=map
	// +listMapKey=key
	Tags []Tag `json:"tags,omitempty"`
}

// PolicyStatus is what the server says of a managed policy.
type PolicyStatus struct {
	// policyID is ANPA and 17 characters.
	// +optional
	PolicyID string `json:"policyID,omitempty"`
	// arn is the policy's name, by which it is attached.
	// +optional
	ARN string `json:"arn,omitempty"`
}

// OpenIDConnectProviderList is a list of providers.
type OpenIDConnectProviderList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the providers.
	Items []OpenIDConnectProvider `json:"items"`
}

// RoleList is a list of roles.
type RoleList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the roles.
	Items []Role `json:"items"`
}

// PolicyList is a list of managed policies.
type PolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the policies.
	Items []Policy `json:"items"`
}
