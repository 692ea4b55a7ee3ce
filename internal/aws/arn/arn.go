package arn

import (
	"fmt"
	"strings"
)

// maxLength is the longest ARN that any AWS API takes.
const maxLength = 2048

// ARN is a name as arn:partition:service:region:account:resource. Region and account may
// be empty; the resource may hold colons and slashes.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// String prints the name as AWS does.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Parse takes a name apart. The account, where there is one, is an id of twelve digits or
// "aws", which owns what AWS itself manages.
func Parse(s string) (ARN, error) {
	if len(s) > maxLength {
		return ARN{}, fmt.Errorf("ARN has %d characters, more than %d", len(s), maxLength)
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ARN{}, fmt.Errorf("%q is not an ARN: want arn:partition:service:region:account:resource", s)
	}
	a := ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}
	switch {
	case !ValidPartition(a.Partition):
		return ARN{}, fmt.Errorf("ARN %q has no valid partition", s)
	case !token(a.Service):
		return ARN{}, fmt.Errorf("ARN %q has no valid service", s)
	case a.Region != "" && !token(a.Region):
		return ARN{}, fmt.Errorf("ARN %q has no valid region", s)
	case a.Account != "" && a.Account != "aws" && !ValidAccount(a.Account):
		return ARN{}, fmt.Errorf("ARN %q has no valid account id: want 12 digits", s)
	case a.Resource == "":
		return ARN{}, fmt.Errorf("ARN %q names no resource", s)
	}
	return a, nil
}

// ValidAccount tells whether s is an account id: twelve digits.
func ValidAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// ValidPartition tells whether s is the name of a partition as AWS builds them: aws, or
// aws- and more.
func ValidPartition(s string) bool {
	return s == DefaultPartition || strings.HasPrefix(s, DefaultPartition+"-") && token(s)
}

// token tells whether s is of small letters, digits and hyphens.
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}
