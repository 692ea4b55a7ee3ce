package queryapi

import (
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

func noPolicy(name string) error { return noSuchEntity("Policy %s was not found.", name) }

type policyResult struct {
	Policy policyXML `xml:"Policy"`
}

func createPolicy(r *request) (any, error) {
	name, validName := r.policyName()
	path, validPath := r.path()
	tags, validTags := r.tags(false)
	p := iam.Policy{
		Partition: r.owner().Partition, Account: r.account(), Name: name, Path: path,
		Description: r.description(), Document: r.document("PolicyDocument"), Tags: tags,
	}
	iam.SortTags(p.Tags)
	if err := r.checked(validName, validPath, validTags); err != nil {
		return nil, err
	}
	if err := r.authorize(target{arn: p.ARN(), shown: "policy " + name, tags: tags}); err != nil {
		return nil, err
	}
	if err := policy.Check(policy.Identity, p.Document); err != nil {
		return nil, err
	}
	if policy.Size(p.Document) > iam.MaxPolicy {
		return nil, limitExceeded("Cannot exceed quota for PolicySize: %d", iam.MaxPolicy)
	}
	made, err := r.store().CreatePolicy(r.ctx, p)
	if err != nil {
		return nil, instead(err, iam.ErrExists, alreadyExists("A policy called %s already exists. Duplicate names are not allowed.", name))
	}
	shown := showPolicy(&made)
	shown.Tags = tagsIfAny(made.Tags)
	return policyResult{shown}, nil
}

// policy looks up the managed policy that a call is about.
func (r *request) policy() (iam.Policy, error) {
	name := r.arn("PolicyArn", true)
	if err := r.Err(); err != nil {
		return iam.Policy{}, err
	}
	if _, err := arn.ParsePolicy(name); err != nil {
		return iam.Policy{}, errARN()
	}
	p, err := r.store().Policy(r.ctx, name)
	if denied := r.authorize(target{arn: name, shown: "policy " + name, resource: p.Tags}); denied != nil {
		return p, denied
	}
	return p, instead(err, iam.ErrNotFound, noPolicy(name))
}

func getPolicy(r *request) (any, error) {
	p, err := r.policy()
	if err != nil {
		return nil, err
	}
	used, err := r.usage()
	shown := showPolicy(&p)
	shown.Description, shown.Tags = p.Description, tagsIfAny(p.Tags)
	shown.AttachmentCount, shown.BoundaryCount = used.attached[p.ARN()], used.boundary[p.ARN()]
	return policyResult{shown}, err
}

func deletePolicy(r *request) (any, error) {
	p, err := r.policy()
	if err != nil {
		return nil, err
	}
	name := p.ARN()
	used, err := r.usage()
	if err != nil {
		return nil, err
	}
	if used.attached[name]+used.boundary[name] > 0 {
		return nil, deleteConflict("Cannot delete a policy attached to entities.")
	}
	return nil, instead(r.store().DeletePolicy(r.ctx, name), iam.ErrNotFound, noPolicy(name))
}

// usage is how often policies are used, by ARN.
type usage struct{ attached, boundary map[string]int }

// usage counts what all roles of the account use.
func (r *request) usage() (usage, error) {
	u := usage{map[string]int{}, map[string]int{}}
	const all = 1 << 30
	err := r.eachRole("", rolesPage, all, func(role *iam.Role) (bool, error) {
		for _, name := range role.Attached {
			u.attached[name]++
		}
		if role.PermissionsBoundary != "" {
			u.boundary[role.PermissionsBoundary]++
		}
		return true, nil
	}, func() {})
	return u, err
}

type policiesResult struct {
	pageOf
	Policies *query.List[policyXML] `xml:"Policies"`
}

// wantedPolicies is which managed policies ListPolicies is asked for.
type wantedPolicies struct {
	scope, prefix, usage string
	onlyAttached         bool
}

func (r *request) wantedPolicies() wantedPolicies {
	w := wantedPolicies{
		scope:        r.Text("Scope", query.Text{Enum: []string{"All", "AWS", "Local"}, Hidden: true}),
		prefix:       r.pathPrefix(),
		onlyAttached: r.Bool("OnlyAttached"),
	}
	if r.Has("PolicyUsageFilter") {
		w.usage = r.Text("PolicyUsageFilter", query.Text{Enum: []string{"PermissionsPolicy", "PermissionsBoundary"}, Hidden: true})
	}
	return w
}

// accounts are those whose policies are wanted, in order.
func (w *wantedPolicies) accounts(own string) []string {
	switch w.scope {
	case "AWS":
		return []string{iam.AWSAccount}
	case "Local":
		return []string{own}
	}
	return []string{iam.AWSAccount, own}
}

func (w *wantedPolicies) has(p *policyXML) bool {
	if !strings.HasPrefix(p.Path, w.prefix) {
		return false
	}
	if !w.onlyAttached {
		return true
	}
	switch w.usage {
	case "PermissionsPolicy":
		return p.AttachmentCount > 0
	case "PermissionsBoundary":
		return p.BoundaryCount > 0
	}
	return p.AttachmentCount+p.BoundaryCount > 0
}

func listPolicies(r *request) (any, error) {
	after, limit := r.page()
	wanted := r.wantedPolicies()
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := r.authorize(target{arn: r.owner().ARN("iam", "policy"+wanted.prefix).String(), shown: "policy path " + wanted.prefix}); err != nil {
		return nil, err
	}
	last, err := after()
	if err != nil {
		return nil, err
	}
	used, err := r.usage()
	if err != nil {
		return nil, err
	}
	result := policiesResult{Policies: query.ListOf[policyXML]()}
	accounts := wanted.accounts(r.account())
	if from, _, ok := iam.SplitKey(last); ok && from == r.account() {
		accounts = []string{from}
	}
	for _, account := range accounts {
		name := ""
		if from, rest, _ := iam.SplitKey(last); from == account {
			name = rest
		}
		full, err := r.policiesOf(account, name, limit, used, wanted, &result)
		if err != nil || full {
			return result, err
		}
	}
	return result, nil
}

// policiesOf adds an account's policies behind a name to the result, and tells whether it is
// full and there are more.
func (r *request) policiesOf(account, after string, limit int, used usage, wanted wantedPolicies, result *policiesResult) (bool, error) {
	const page = 200
	for {
		some, err := r.store().Policies(r.ctx, account, iam.Page{After: after, Limit: page})
		if err != nil {
			return false, err
		}
		for i := range some {
			shown := showPolicy(&some[i])
			shown.AttachmentCount, shown.BoundaryCount = used.attached[shown.ARN], used.boundary[shown.ARN]
			if !wanted.has(&shown) {
				after = some[i].Name
				continue
			}
			if len(result.Policies.Member) == limit {
				result.pageOf = more(iam.Key(account, after))
				return true, nil
			}
			result.Policies.Member = append(result.Policies.Member, shown)
			after = some[i].Name
		}
		if len(some) < page {
			return false, nil
		}
	}
}
