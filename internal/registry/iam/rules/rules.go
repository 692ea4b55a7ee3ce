// Package rules is what the kinds of iam.laterna.dev have in common: how the name of an
// object, its account and its spec agree, and what partitions, names, paths, tags and
// documents may be.
//
// It owns the checks of fields in the words of the API. Patterns and limits are those of
// internal/aws/iam, the grammar of policies is internal/aws/policy's.
package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
)

// ValidName checks names of objects: any path segment, so that 111122223333:deployer is
// one.
func ValidName(name string, _ bool) []string { return path.IsValidPathSegmentName(name) }

// DefaultIdentity fills in what the name of an object says: partition, account and name
// of what it is.
func DefaultIdentity(object string, partition, account, name *string) {
	if *partition == "" {
		*partition = arn.DefaultPartition
	}
	a, rest, ok := iam.SplitKey(object)
	if !ok {
		return
	}
	if *account == "" {
		*account = a
	}
	if *name == "" {
		*name = rest
	}
}

// Identity is what names a thing, and how its object is therefore named.
type Identity struct {
	Partition, Account, Path string
	// Object is the name of the object, Want what it must be.
	Object, Want string
	// AWS tells that the account may be AWS's own.
	AWS bool
}

// Validate checks partition, account, path and the object's name.
func (i Identity) Validate(spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !arn.ValidPartition(i.Partition) {
		errs = append(errs, field.Invalid(spec.Child("partition"), i.Partition, "must be aws or begin with aws-"))
	}
	if !arn.ValidAccount(i.Account) && (!i.AWS || i.Account != iam.AWSAccount) {
		errs = append(errs, field.Invalid(spec.Child("account"), i.Account, "must be twelve digits"))
	}
	if len(i.Path) > iam.MaxPath {
		errs = append(errs, field.TooLong(spec.Child("path"), i.Path, iam.MaxPath))
	} else if !iam.ValidPath(i.Path) {
		errs = append(errs, field.Invalid(spec.Child("path"), i.Path, "must begin and end with a slash and have no blanks"))
	}
	if len(errs) == 0 && i.Object != i.Want {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), i.Object, fmt.Sprintf("must be %q: the account and what the object is in it", i.Want)))
	}
	return errs
}

// Name checks the name of a role or policy.
func Name(name string, max int, p *field.Path) field.ErrorList {
	switch {
	case name == "":
		return field.ErrorList{field.Required(p, "")}
	case len(name) > max:
		return field.ErrorList{field.TooLong(p, name, max)}
	case !iam.ValidName(name):
		return field.ErrorList{field.Invalid(p, name, "must have only letters, digits and +=,.@_-")}
	}
	return nil
}

// Description checks a description.
func Description(text string, p *field.Path) field.ErrorList {
	switch {
	case utf8.RuneCountInString(text) > iam.MaxDescription:
		return field.ErrorList{field.TooLong(p, "", iam.MaxDescription)}
	case !iam.ValidDescription(text):
		return field.ErrorList{field.Invalid(p, text, "must have only characters of Latin-1")}
	}
	return nil
}

// Document checks the text of a policy: that it is there, small enough and well formed.
func Document(text string, max int, kind policy.Kind, p *field.Path) field.ErrorList {
	switch size := policy.Size(text); {
	case text == "":
		return field.ErrorList{field.Required(p, "the policy as JSON")}
	case size > max || len(text) > iam.MaxDocument:
		return field.ErrorList{field.TooLong(p, "", max)}
	case !iam.ValidDocument(text):
		return field.ErrorList{field.Invalid(p, field.OmitValueType{}, "must have only characters of Latin-1")}
	}
	if err := policy.Check(kind, text); err != nil {
		return field.ErrorList{field.Invalid(p, field.OmitValueType{}, err.Error())}
	}
	return nil
}

// PolicyARN checks the ARN of a managed policy.
func PolicyARN(text string, p *field.Path) field.ErrorList {
	if n, err := arn.ParsePolicy(text); err != nil || !iam.ValidName(n.Name) {
		return field.ErrorList{field.Invalid(p, text, "must be the ARN of a managed policy")}
	}
	return nil
}

// Tags checks tags. fold tells that keys are the same that differ only in letter case.
func Tags(tags []v1alpha1.Tag, fold bool, p *field.Path) field.ErrorList {
	if len(tags) > iam.MaxTags {
		return field.ErrorList{field.TooMany(p, len(tags), iam.MaxTags)}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, t := range tags {
		errs = append(errs, tag(t, p.Index(i))...)
		key := t.Key
		if fold {
			key = strings.ToLower(key)
		}
		if seen[key] {
			errs = append(errs, field.Duplicate(p.Index(i).Child("key"), t.Key))
		}
		seen[key] = true
	}
	return errs
}

func tag(t v1alpha1.Tag, p *field.Path) field.ErrorList {
	var errs field.ErrorList
	const characters = "must have only letters, digits, blanks and _.:/=+-@"
	switch {
	case t.Key == "":
		errs = append(errs, field.Required(p.Child("key"), ""))
	case utf8.RuneCountInString(t.Key) > iam.MaxTagKey:
		errs = append(errs, field.TooLong(p.Child("key"), "", iam.MaxTagKey))
	case !iam.ValidTagText(t.Key):
		errs = append(errs, field.Invalid(p.Child("key"), t.Key, characters))
	case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
		errs = append(errs, field.Invalid(p.Child("key"), t.Key, "keys that begin with aws: are reserved"))
	}
	switch {
	case utf8.RuneCountInString(t.Value) > iam.MaxTagValue:
		errs = append(errs, field.TooLong(p.Child("value"), "", iam.MaxTagValue))
	case !iam.ValidTagText(t.Value):
		errs = append(errs, field.Invalid(p.Child("value"), t.Value, characters))
	}
	return errs
}

// Same refuses a change of what identifies an object.
func Same(now, old string, p *field.Path) field.ErrorList {
	if now != old {
		return field.ErrorList{field.Invalid(p, now, "field is immutable")}
	}
	return nil
}
