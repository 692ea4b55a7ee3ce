package sts

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
)

type assumeRoleResult struct {
	AssumedRole    assumedRole `xml:"AssumedRoleUser"`
	Credentials    credentials `xml:"Credentials"`
	PackedSize     int         `xml:"PackedPolicySize,omitempty"`
	SourceIdentity string      `xml:"SourceIdentity,omitempty"`
}

// wish is what AssumeRole is asked with besides.
type wish struct {
	tags           map[string]string
	transitive     []string
	externalID     string
	sourceIdentity string
}

func (s *STS) assumeRole(ctx context.Context, call *query.Call) (any, error) {
	r := explain.Of(call)
	p := call.Params()
	a, roleARN := readAsked(p)
	w, tagFault := readWish(p)
	if r != nil {
		r.Role, r.Session = roleARN, a.session
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	var err error
	if a.role, err = arn.ParseRole(roleARN); err != nil {
		return nil, query.Invalid("%s is invalid", roleARN)
	}
	if tagFault != nil {
		return nil, tagFault
	}
	if err := a.checkPolicy(); err != nil {
		return nil, err
	}
	with, err := w.session(call.Caller)
	if err != nil {
		return nil, err
	}
	return s.assume(ctx, call, &a, &w, with, r)
}

func readWish(p *query.Params) (wish, error) {
	w := wish{tags: map[string]string{}}
	var fault error
	for _, tag := range p.Structures("Tags", 50) {
		key := tag.Text("Key", query.Text{Required: true, Min: 1, Max: 128, Pattern: tagKey, Hidden: true})
		value := tag.Text("Value", query.Text{Required: true, Max: 256, Pattern: tagText, Hidden: true})
		if hasKey(w.tags, key) {
			fault = badTag("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		w.tags[key] = value
	}
	w.transitive = p.Texts("TransitiveTagKeys", 50, query.Text{Min: 1, Max: 128, Pattern: tagKey})
	w.externalID = p.Text("ExternalId", query.Text{Min: 2, Max: 1224, Pattern: externalID})
	w.sourceIdentity = p.Text("SourceIdentity", query.Text{Min: 2, Max: 64, Pattern: sessionName})
	p.Text("SerialNumber", query.Text{Min: 9, Max: 256})
	p.Text("TokenCode", query.Text{Min: 6, Max: 6, Pattern: sixDigits})
	if strings.HasPrefix(strings.ToLower(w.sourceIdentity), "aws:") {
		p.Fault("Value '" + w.sourceIdentity + "' at 'sourceIdentity' failed to satisfy constraint: Member must not start with aws:")
	}
	if p.Has("TokenCode") && fault == nil {
		fault = query.AccessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	}
	return w, fault
}

func badTag(text string) error {
	return query.Refuse(http.StatusBadRequest, "InvalidParameterValue", "%s", text)
}

func sameKey(a, b string) bool { return strings.EqualFold(a, b) }

func hasKey(tags map[string]string, key string) bool {
	for other := range tags {
		if sameKey(other, key) {
			return true
		}
	}
	return false
}

// session returns what a session of a caller is begun with: transitive tags and the source
// identity of the caller's own session pass on to it.
func (w *wish) session(c *caller.Caller) (caller.Session, error) {
	with := caller.Session{Tags: maps.Clone(w.tags), SourceIdentity: w.sourceIdentity}
	for _, key := range w.transitive {
		if !hasKey(w.tags, key) {
			return with, badTag("The specified transitive tag key must be included in the requested tags.")
		}
	}
	with.Transitive = slices.Clone(w.transitive)
	if c.Session == nil {
		return with, nil
	}
	for _, key := range c.Session.Transitive {
		if hasKey(w.tags, key) {
			return with, badTag("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		for other, value := range c.Session.Tags {
			if sameKey(other, key) {
				with.Tags[other] = value
			}
		}
		with.Transitive = append(with.Transitive, key)
	}
	if with.SourceIdentity == "" {
		with.SourceIdentity = c.Session.SourceIdentity
	}
	return with, nil
}

// assume begins a session of a role for a caller.
func (s *STS) assume(ctx context.Context, call *query.Call, a *asked, w *wish, with caller.Session, r *explain.Record) (any, error) {
	actions := []string{"sts:AssumeRole"}
	if len(with.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if with.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	role, there, err := s.role(ctx, a.role, r)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, notAllowed(call.Caller, actions[0], a.role, "")
	}
	policies, err := access.Policies(ctx, s.config.Directory, call.Caller)
	if err != nil {
		return nil, err
	}
	if denied := decide(actions, &role, access.Principal(call.Caller), s.assumeRoleKeys(call, a, w, &with), policies, r); denied != nil {
		return nil, notAllowed(call.Caller, denied.Action, a.role, suffix(denied))
	}
	if call.Caller.Session != nil && with.SourceIdentity != call.Caller.Session.SourceIdentity && call.Caller.Session.SourceIdentity != "" {
		return nil, notAllowed(call.Caller, "sts:SetSourceIdentity", a.role, "")
	}
	if call.Caller.Session != nil && a.duration.Seconds() > chainedDuration {
		return nil, query.Invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	if err := a.checkLife(role.MaxSessionDuration); err != nil {
		return nil, err
	}
	result := assumeRoleResult{SourceIdentity: with.SourceIdentity}
	if result.PackedSize, err = pack(a, &with); err != nil {
		return nil, err
	}
	result.Credentials, result.AssumedRole, err = s.begin(ctx, a, &role, with)
	return result, err
}

// notAllowed is the answer to a caller that the policies do not let.
func notAllowed(c *caller.Caller, action string, role arn.Role, suffix string) *query.Error {
	return query.AccessDenied("User: %s is not authorized to perform: %s on resource: %s%s", c.ARN, action, role, suffix)
}

// suffix is what AWS adds for some denials.
func suffix(d *policy.Decision) string {
	if d.Outcome == policy.ImplicitDeny && d.Layer == policy.TrustLayer {
		return ""
	}
	return d.Reason()
}

// assumeRoleKeys are the condition keys that policies can ask for.
func (s *STS) assumeRoleKeys(call *query.Call, a *asked, w *wish, with *caller.Session) policy.Context {
	var k policy.Context
	access.Common(&k, call.HTTP, s.config.Clock.Now())
	access.Of(&k, call.Caller)
	k.Set("sts:RoleSessionName", a.session)
	if w.externalID != "" {
		k.Set("sts:ExternalId", w.externalID)
	}
	if with.SourceIdentity != "" {
		k.Set("sts:SourceIdentity", with.SourceIdentity)
	}
	setTags(&k, with.Tags, with.Transitive)
	return k
}
