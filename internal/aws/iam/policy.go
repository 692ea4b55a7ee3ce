package iam

import "time"

// Policy is a managed policy with its default version. AWS's own belong to the account
// "aws".
type Policy struct {
	// Partition and Account are as those of Role, and the account may be AWSAccount.
	Partition, Account string
	// Name is unique in the account ignoring case.
	Name string
	// Path begins and ends with a slash.
	Path string
	// ID is ANPA and 17 characters.
	ID          string
	Description string
	// Document is the JSON text as it was written, byte for byte.
	Document string
	// Tags are sorted by key.
	Tags []Tag
	// Created is in UTC, to the second.
	Created time.Time
	// Version changes with every write; it is the store's.
	Version string
}

// AWSAccount stands in ARNs of policies that AWS manages.
const AWSAccount = "aws"

// ARN is the policy's name in all accounts.
func (p *Policy) ARN() string { return resourceARN(p.Partition, p.Account, "policy", p.Path, p.Name) }
