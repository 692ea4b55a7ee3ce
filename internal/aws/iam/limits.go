package iam

import (
	"regexp"
	"unicode/utf8"
)

// Limits of lengths, in characters, and of numbers. Sizes of policies do not count blanks
// outside of strings.
const (
	MaxRoleName      = 64
	MaxPolicyName    = 128
	MaxPath          = 512
	MaxDescription   = 1000
	MaxDocument      = 131072 // of a text as it is handed over
	MaxURL           = 255
	MaxClientID      = 255
	MaxClientIDs     = 100
	ThumbprintLength = 40
	MaxThumbprints   = 5
	MaxTags          = 50
	MaxTagKey        = 128
	MaxTagValue      = 256
	// MaxTrustPolicy and MaxAttached are quotas that accounts begin with, and that the
	// two after them are as far as AWS raises them.
	MaxTrustPolicy       = 2048
	MaxAttached          = 10
	RaisedMaxTrustPolicy = 4096
	RaisedMaxAttached    = 20
	MaxPolicy            = 6144
	MaxInline            = 10240 // of all of a role
)

var (
	validName        = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]+$`)
	validPath        = regexp.MustCompile(`^(/|/[!-~]+/)$`)
	validDescription = regexp.MustCompile(`^[\t\n\r -~\x{A1}-\x{FF}]*$`)
	validDocument    = regexp.MustCompile(`^[\t\n\r -\x{FF}]+$`)
	validTagText     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// ValidName tells whether roles and policies can have that name; how long it may be
// depends on which it is.
func ValidName(s string) bool { return validName.MatchString(s) }

// ValidPath tells whether s is a path that begins and ends with a slash.
func ValidPath(s string) bool { return validPath.MatchString(s) }

// ValidDescription tells whether s has only characters that descriptions may have.
func ValidDescription(s string) bool { return validDescription.MatchString(s) }

// ValidDocument tells whether s has only characters that policies may have.
func ValidDocument(s string) bool { return validDocument.MatchString(s) }

// ValidTagText tells whether keys and values of tags may have the characters of s.
func ValidTagText(s string) bool { return utf8.ValidString(s) && validTagText.MatchString(s) }
