package queryapi

import (
	"errors"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
)

func noRole(name string) error {
	return noSuchEntity("The role with name %s cannot be found.", name)
}

// role looks up the role that a call is about, of which the caller must be allowed to know.
func (r *request) role(name string, keys map[string]string) (iam.Role, error) {
	role, err := r.store().Role(r.ctx, r.account(), name)
	t := target{arn: arn.Role{Owner: r.owner(), Name: name}.String(), shown: "role " + name, keys: keys}
	if err == nil {
		t.arn, t.resource = role.ARN(), role.Tags
	} else if !errors.Is(err, iam.ErrNotFound) {
		return role, err
	}
	if denied := r.authorize(t); denied != nil {
		return role, denied
	}
	return role, instead(err, iam.ErrNotFound, noRole(name))
}

// update changes the role that a call is about.
func (r *request) update(name string, keys map[string]string, change func(*iam.Role) error) error {
	if _, err := r.role(name, keys); err != nil {
		return err
	}
	_, err := r.store().UpdateRole(r.ctx, r.account(), name, change)
	return instead(err, iam.ErrNotFound, noRole(name))
}

func (r *request) maxSession() time.Duration {
	least, greatest := int(iam.LeastMaxSession.Seconds()), int(iam.GreatestMaxSession.Seconds())
	return time.Duration(r.Number("MaxSessionDuration", least, greatest, least)) * time.Second
}

type roleResult struct {
	Role roleXML `xml:"Role"`
}

func createRole(r *request) (any, error) {
	name, validName := r.roleName()
	path, validPath := r.path()
	tags, validTags := r.tags(true)
	document, boundary := r.document("AssumeRolePolicyDocument"), r.arn("PermissionsBoundary", false)
	role := iam.Role{
		Partition: r.owner().Partition, Account: r.account(), Name: name, Path: path, Description: r.description(),
		TrustPolicy: document, MaxSessionDuration: r.maxSession(), PermissionsBoundary: boundary, Tags: tags,
	}
	iam.SortTags(role.Tags)
	if err := r.checked(validName, validPath, validTags); err != nil {
		return nil, err
	}
	t := target{arn: role.ARN(), tags: tags}
	if boundary != "" {
		t.keys = map[string]string{"iam:PermissionsBoundary": boundary}
	}
	if err := r.authorize(t); err != nil {
		return nil, err
	}
	if err := r.trustPolicy(document); err != nil {
		return nil, err
	}
	if boundary != "" {
		if err := r.attachable(boundary, "Scope ARN: %s does not exist or is not attachable."); err != nil {
			return nil, err
		}
	}
	made, err := r.store().CreateRole(r.ctx, role)
	if err != nil {
		return nil, instead(err, iam.ErrExists, alreadyExists("Role with name %s already exists.", name))
	}
	shown, err := r.showRole(&made)
	shown.withTags(&made)
	return roleResult{shown}, err
}

func getRole(r *request) (any, error) {
	name, valid := r.roleName()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	role, err := r.role(name, nil)
	if err != nil {
		return nil, err
	}
	shown, err := r.showRole(&role)
	shown.withSession(&role)
	shown.withTags(&role)
	shown.LastUsed = &empty{}
	return roleResult{shown}, err
}

type rolesResult struct {
	pageOf
	Roles *query.List[roleXML] `xml:"Roles"`
}

// scanned is how many roles one call looks at; where a prefix fits few of them, a page has
// fewer than were asked for.
const scanned = 5000

// rolesPage is how many roles are read at once.
const rolesPage = 500

func listRoles(r *request) (any, error) {
	after, limit := r.page()
	prefix := r.pathPrefix()
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := r.authorize(target{arn: r.owner().ARN("iam", "role"+prefix).String()}); err != nil {
		return nil, err
	}
	last, err := after()
	if err != nil {
		return nil, err
	}
	result := rolesResult{Roles: query.ListOf[roleXML]()}
	page := rolesPage
	if prefix == "/" { // all fit
		page = min(page, limit+1)
	}
	err = r.eachRole(last, page, scanned, func(role *iam.Role) (bool, error) {
		if len(result.Roles.Member) == limit {
			result.pageOf = more(last)
			return false, nil
		}
		last = role.Name
		if !strings.HasPrefix(role.Path, prefix) {
			return true, nil
		}
		shown, err := r.showRole(role)
		shown.withSession(role)
		result.Roles.Member = append(result.Roles.Member, shown)
		return true, err
	}, func() { result.pageOf = more(last) })
	return result, err
}

// eachRole calls visit with roles of the account behind a name until it returns false, at
// most so many, and reads so many at once; stopped is called if there may be more.
func (r *request) eachRole(after string, page, most int, visit func(*iam.Role) (bool, error), stopped func()) error {
	for seen := 0; seen < most; {
		roles, err := r.store().Roles(r.ctx, r.account(), iam.Page{After: after, Limit: page})
		if err != nil {
			return err
		}
		for i := range roles {
			if more, err := visit(&roles[i]); err != nil || !more {
				return err
			}
			after = roles[i].Name
		}
		if len(roles) < page {
			return nil
		}
		seen += len(roles)
	}
	stopped()
	return nil
}

func updateRole(r *request) (any, error) {
	name, valid := r.roleName()
	description, duration := r.description(), r.maxSession()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	return empty{}, r.update(name, nil, func(role *iam.Role) error {
		if r.Has("Description") {
			role.Description = description
		}
		if r.Has("MaxSessionDuration") {
			role.MaxSessionDuration = duration
		}
		return nil
	})
}

func deleteRole(r *request) (any, error) {
	name, valid := r.roleName()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	if _, err := r.role(name, nil); err != nil {
		return nil, err
	}
	err := r.store().DeleteRole(r.ctx, r.account(), name, func(role *iam.Role) error {
		switch {
		case len(role.Attached) > 0:
			return deleteConflict("Cannot delete entity, must detach all policies first.")
		case len(role.Inline) > 0:
			return deleteConflict("Cannot delete entity, must delete policies first.")
		}
		return nil
	})
	return nil, instead(err, iam.ErrNotFound, noRole(name))
}

func updateAssumeRolePolicy(r *request) (any, error) {
	name, valid := r.roleName()
	document := r.document("PolicyDocument")
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	if _, err := r.role(name, nil); err != nil {
		return nil, err
	}
	if err := r.trustPolicy(document); err != nil {
		return nil, err
	}
	_, err := r.store().UpdateRole(r.ctx, r.account(), name, func(role *iam.Role) error {
		role.TrustPolicy = document
		return nil
	})
	return nil, instead(err, iam.ErrNotFound, noRole(name))
}

// sameName tells whether two names are the same policy of a role.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// inline returns the spelling under which a role has a policy.
func inline(role *iam.Role, name string) (string, bool) {
	for spelt := range role.Inline {
		if sameName(spelt, name) {
			return spelt, true
		}
	}
	return "", false
}

// sortedNames returns the names of a role's own policies.
func sortedNames(role *iam.Role) []string {
	var names []string
	for name := range role.Inline {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
