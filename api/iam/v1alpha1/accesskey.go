package v1alpha1

import "strings"

// A long-term access key is a Secret in kube-system of type AccessKeySecretType, named as
// AccessKeySecret says, with the label AccessKeyAccountLabel and these keys.
const (
	AccessKeySecretType = "iam.laterna.dev/access-key"
	// AccessKeyAccountLabel has the account as its value.
	AccessKeyAccountLabel = "iam.laterna.dev/account"

	AccessKeyID        = "accessKeyID"
	SecretAccessKey    = "secretAccessKey"
	AccessKeyPartition = "partition"
	AccessKeyAccount   = "account"
	AccessKeyUserName  = "userName"
	AccessKeyUserID    = "userID"
	// AccessKeyAdministrator is "true" where the holder may do everything in the
	// account.
	AccessKeyAdministrator = "administrator"
)

// AccessKeySecret is the name of the Secret of a long-term access key.
func AccessKeySecret(id string) string { return "aws-access-key-" + strings.ToLower(id) }
