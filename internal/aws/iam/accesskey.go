package iam

import "laterna.dev/laterna/internal/redacted"

// AccessKey is a long-term key of a user, with which requests are signed.
type AccessKey struct {
	// ID is AKIA and 16 characters; it holds the account.
	ID     string
	Secret redacted.Text
	// Account is that of the holder, Partition as that of Role.
	Partition, Account string
	// UserName, UserID (AIDA and 17 characters) and Path are the holder's.
	UserName, UserID, Path string
	// Administrator may do everything in the account.
	Administrator bool
}

// ARN is that of the key's holder.
func (k *AccessKey) ARN() string {
	return resourceARN(k.Partition, k.Account, "user", k.Path, k.UserName)
}
