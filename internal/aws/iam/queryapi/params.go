package queryapi

import (
	"strings"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

// patterns are those of the API's model.
type patterns struct {
	document, description, tagKey, tagValue, pathPrefix, marker *query.Pattern
}

func newPatterns() patterns {
	return patterns{
		document:    query.NewPattern(`[\u0009\u000A\u000D\u0020-\u00FF]+`),
		description: query.NewPattern(`[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`),
		tagKey:      query.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]+`),
		tagValue:    query.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`),
		pathPrefix:  query.NewPattern(`\u002F[\u0021-\u007F]*`),
		marker:      query.NewPattern(`[\u0020-\u00FF]+`),
	}
}

// name reads the name of a role or policy. What characters it may have is said in older
// words than its length.
func (r *request) name(param string, max int) (string, func() error) {
	name := r.Text(param, query.Text{Required: true, Min: 1, Max: max, Hidden: true})
	return name, func() error {
		if iam.ValidName(name) {
			return nil
		}
		return query.Invalid("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", strings.ToLower(param[:1])+param[1:])
	}
}

func (r *request) roleName() (string, func() error) { return r.name("RoleName", iam.MaxRoleName) }

// path reads the path of something new.
func (r *request) path() (string, func() error) {
	path := r.Text("Path", query.Text{Min: 1, Max: iam.MaxPath, Hidden: true})
	if path == "" {
		path = "/"
	}
	return path, func() error {
		if iam.ValidPath(path) {
			return nil
		}
		return query.Invalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
}

func (r *request) document(param string) string {
	return r.Text(param, query.Text{Required: true, Min: 1, Max: iam.MaxDocument, Pattern: r.api.patterns.document, Hidden: true})
}

func (r *request) description() string {
	return r.Text("Description", query.Text{Max: iam.MaxDescription, Pattern: r.api.patterns.description, Hidden: true})
}

// arn reads an ARN; whether it is one is its users' to say.
func (r *request) arn(param string, required bool) string {
	return r.Text(param, query.Text{Required: required, Min: 20, Max: 2048, Hidden: true})
}

// tags reads tags that are sent. fold tells that keys are the same that differ only in
// letter case.
func (r *request) tags(fold bool) ([]iam.Tag, func() error) {
	var tags []iam.Tag
	for _, p := range r.Structures("Tags", iam.MaxTags) {
		tags = append(tags, iam.Tag{
			Key:   p.Text("Key", query.Text{Required: true, Min: 1, Max: iam.MaxTagKey, Pattern: r.api.patterns.tagKey, Hidden: true}),
			Value: p.Text("Value", query.Text{Required: true, Max: iam.MaxTagValue, Pattern: r.api.patterns.tagValue, Hidden: true}),
		})
	}
	return tags, func() error {
		seen := map[string]bool{}
		for _, t := range tags {
			if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
				return invalidInput("Tag keys beginning with aws: are reserved for system use.")
			}
			key := t.Key
			if fold {
				key = strings.ToLower(key)
			}
			if seen[key] {
				return invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			}
			seen[key] = true
		}
		return nil
	}
}

// checked returns the first thing that is wrong: constraints of the parameters, and then
// what is said of them in older words.
func (r *request) checked(more ...func() error) error {
	if err := r.Err(); err != nil {
		return err
	}
	for _, check := range more {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// trustPolicy checks one, and that the roles exist that it names.
func (r *request) trustPolicy(document string) error {
	if err := policy.Check(policy.Trust, document); err != nil {
		return err
	}
	if policy.Size(document) > iam.MaxTrustPolicy {
		return limitExceeded("Cannot exceed quota for ACLSizePerRole: %d", iam.MaxTrustPolicy)
	}
	for _, arn := range iam.TrustedRoles(document) {
		id, err := r.idOf(arn)
		if err != nil {
			return err
		}
		if id == "" {
			return policy.InvalidPrincipal(policy.TypedPrincipal{Type: policy.AWS, Value: arn})
		}
	}
	return nil
}
