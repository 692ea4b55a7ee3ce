package queryapi

import (
	"cmp"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

func noRolePolicy(name string) error {
	return noSuchEntity("The role policy with name %s cannot be found.", name)
}

func (r *request) policyName() (string, func() error) { return r.name("PolicyName", iam.MaxPolicyName) }

func putRolePolicy(r *request) (any, error) {
	name, validName := r.roleName()
	policyName, validPolicy := r.policyName()
	document := r.document("PolicyDocument")
	if err := r.checked(validName, validPolicy); err != nil {
		return nil, err
	}
	if _, err := r.role(name, nil); err != nil {
		return nil, err
	}
	if err := policy.Check(policy.Identity, document); err != nil {
		return nil, err
	}
	_, err := r.store().UpdateRole(r.ctx, r.account(), name, func(role *iam.Role) error {
		if role.Inline == nil {
			role.Inline = map[string]string{}
		}
		spelt, ok := inline(role, policyName)
		if !ok {
			spelt = policyName
		}
		role.Inline[spelt] = document
		size := 0
		for _, text := range role.Inline {
			size += policy.Size(text)
		}
		if size > iam.MaxInline {
			return limitExceeded("Maximum policy size of %d bytes exceeded for role %s", iam.MaxInline, role.Name)
		}
		return nil
	})
	return nil, instead(err, iam.ErrNotFound, noRole(name))
}

type rolePolicyResult struct {
	RoleName   string `xml:"RoleName"`
	PolicyName string `xml:"PolicyName"`
	Document   string `xml:"PolicyDocument"`
}

func getRolePolicy(r *request) (any, error) {
	name, validName := r.roleName()
	policyName, validPolicy := r.policyName()
	if err := r.checked(validName, validPolicy); err != nil {
		return nil, err
	}
	role, err := r.role(name, nil)
	if err != nil {
		return nil, err
	}
	spelt, ok := inline(&role, policyName)
	if !ok {
		return nil, noRolePolicy(policyName)
	}
	return rolePolicyResult{role.Name, policyName, encode(role.Inline[spelt])}, nil
}

func deleteRolePolicy(r *request) (any, error) {
	name, validName := r.roleName()
	policyName, validPolicy := r.policyName()
	if err := r.checked(validName, validPolicy); err != nil {
		return nil, err
	}
	return nil, r.update(name, nil, func(role *iam.Role) error {
		spelt, ok := inline(role, policyName)
		if !ok {
			return noRolePolicy(policyName)
		}
		delete(role.Inline, spelt)
		return nil
	})
}

type namesResult struct {
	pageOf
	Names *query.List[string] `xml:"PolicyNames"`
}

func listRolePolicies(r *request) (any, error) {
	name, valid := r.roleName()
	after, limit := r.page()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	role, err := r.role(name, nil)
	if err != nil {
		return nil, err
	}
	last, err := after()
	if err != nil {
		return nil, err
	}
	page, rest := cut(sortedNames(&role), last, limit, func(name string) string { return name })
	return namesResult{rest, query.ListOf(page...)}, nil
}

// attachable says in these words that a policy cannot be attached.
func (r *request) attachable(name, text string) error {
	n, err := arn.ParsePolicy(name)
	if err != nil {
		return errARN()
	}
	if n.Account != r.account() && n.Account != iam.AWSAccount {
		return noSuchEntity(text, name)
	}
	_, err = r.store().Policy(r.ctx, name)
	return instead(err, iam.ErrNotFound, noSuchEntity(text, name))
}

func policyKey(name string) map[string]string { return map[string]string{"iam:PolicyARN": name} }

func attachRolePolicy(r *request) (any, error) {
	name, valid := r.roleName()
	attach := r.arn("PolicyArn", true)
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	if _, err := r.role(name, policyKey(attach)); err != nil {
		return nil, err
	}
	if err := r.attachable(attach, "Policy %s does not exist or is not attachable."); err != nil {
		return nil, err
	}
	_, err := r.store().UpdateRole(r.ctx, r.account(), name, func(role *iam.Role) error {
		if slices.Contains(role.Attached, attach) {
			return nil
		}
		if len(role.Attached) >= iam.MaxAttached {
			return limitExceeded("Cannot exceed quota for PoliciesPerRole: %d", iam.MaxAttached)
		}
		role.Attached = append(role.Attached, attach)
		return nil
	})
	return nil, instead(err, iam.ErrNotFound, noRole(name))
}

func detachRolePolicy(r *request) (any, error) {
	name, valid := r.roleName()
	detach := r.arn("PolicyArn", true)
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	if _, err := arn.ParsePolicy(detach); err != nil {
		return nil, errARN()
	}
	return nil, r.update(name, policyKey(detach), func(role *iam.Role) error {
		i := slices.Index(role.Attached, detach)
		if i < 0 {
			return noPolicy(detach)
		}
		role.Attached = slices.Delete(role.Attached, i, i+1)
		return nil
	})
}

type attachedXML struct {
	Name string `xml:"PolicyName"`
	ARN  string `xml:"PolicyArn"`
}

type attachedResult struct {
	pageOf
	Attached *query.List[attachedXML] `xml:"AttachedPolicies"`
}

func listAttachedRolePolicies(r *request) (any, error) {
	name, valid := r.roleName()
	after, limit := r.page()
	prefix := r.pathPrefix()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	role, err := r.role(name, nil)
	if err != nil {
		return nil, err
	}
	last, err := after()
	if err != nil {
		return nil, err
	}
	var all []attachedXML
	for _, attached := range role.Attached {
		if n, err := arn.ParsePolicy(attached); err == nil && strings.HasPrefix(n.Path, prefix) {
			all = append(all, attachedXML{n.Name, attached})
		}
	}
	key := func(a attachedXML) string { return a.Name + " " + a.ARN }
	slices.SortFunc(all, func(a, b attachedXML) int { return cmp.Compare(key(a), key(b)) })
	page, rest := cut(all, last, limit, key)
	return attachedResult{rest, query.ListOf(page...)}, nil
}
