package iam

import "time"

// The bounds of how long a session of a role may last.
const (
	LeastMaxSession    = time.Hour
	GreatestMaxSession = 12 * time.Hour
)

// Role is an IAM role. A value from a Directory is the caller's to keep and shares
// nothing with others.
type Role struct {
	// Partition is aws, aws-cn or aws-us-gov.
	Partition string
	// Account is that which the role belongs to: twelve digits.
	Account string
	// Name is unique in the account ignoring case; this is the spelling it was made with.
	Name string
	// Path begins and ends with a slash.
	Path string
	// ID is AROA and 17 characters, never given twice: a role that is made again under
	// the same name has another.
	ID          string
	Description string
	// TrustPolicy is the JSON text as it was written, byte for byte.
	TrustPolicy string
	// Principals maps each ARN of a role or user in TrustPolicy to the unique id that it
	// had when the policy was written. Who has the ARN now but another id is not trusted.
	Principals map[string]string
	// MaxSessionDuration is in whole seconds.
	MaxSessionDuration time.Duration
	// Inline are the policies that belong to the role alone: JSON texts by name. Names
	// are unique ignoring case.
	Inline map[string]string
	// Attached are ARNs of managed policies, in the order in which they were attached.
	Attached []string
	// PermissionsBoundary is the ARN of a managed policy; "" without.
	PermissionsBoundary string
	// Tags are sorted by key, and keys unique ignoring case.
	Tags []Tag
	// Created is in UTC, to the second.
	Created time.Time
	// Version changes with every write of the role; it is the store's.
	Version string
}

// ARN is the role's name in all accounts.
func (r *Role) ARN() string { return resourceARN(r.Partition, r.Account, "role", r.Path, r.Name) }

// Tag is a label of AWS. Keys of roles are unique ignoring case, those of all else as
// they are spelt.
type Tag struct{ Key, Value string }
