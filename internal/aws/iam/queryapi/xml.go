package queryapi

import (
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
)

type tagXML struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

// tagList are tags as they are answered; never nil.
func tagList(tags []iam.Tag) *query.List[tagXML] {
	list := query.ListOf[tagXML]()
	for _, t := range tags {
		list.Member = append(list.Member, tagXML(t))
	}
	return list
}

// tagsIfAny is no element where there are none.
func tagsIfAny(tags []iam.Tag) *query.List[tagXML] {
	if len(tags) == 0 {
		return nil
	}
	return tagList(tags)
}

type boundaryXML struct {
	Type string `xml:"PermissionsBoundaryType"`
	ARN  string `xml:"PermissionsBoundaryArn"`
}

type empty struct{}

// roleXML is a role; each operation shows some of it.
type roleXML struct {
	Path               string              `xml:"Path"`
	RoleName           string              `xml:"RoleName"`
	RoleID             string              `xml:"RoleId"`
	ARN                string              `xml:"Arn"`
	CreateDate         string              `xml:"CreateDate"`
	TrustPolicy        string              `xml:"AssumeRolePolicyDocument"`
	Description        string              `xml:"Description,omitempty"`
	MaxSessionDuration int                 `xml:"MaxSessionDuration,omitempty"`
	Boundary           *boundaryXML        `xml:"PermissionsBoundary"`
	Tags               *query.List[tagXML] `xml:"Tags"`
	LastUsed           *empty              `xml:"RoleLastUsed"`
}

// showRole is a role as all operations show it.
func (r *request) showRole(role *iam.Role) (roleXML, error) {
	trust, err := r.shown(role)
	return roleXML{
		Path: role.Path, RoleName: role.Name, RoleID: role.ID, ARN: role.ARN(),
		CreateDate: query.Seconds(role.Created), TrustPolicy: trust,
	}, err
}

// withSession adds what CreateRole does not show.
func (x *roleXML) withSession(role *iam.Role) {
	x.Description, x.MaxSessionDuration = role.Description, int(role.MaxSessionDuration.Seconds())
}

// withTags adds what ListRoles does not show.
func (x *roleXML) withTags(role *iam.Role) {
	x.Tags = tagsIfAny(role.Tags)
	if role.PermissionsBoundary != "" {
		x.Boundary = &boundaryXML{"Policy", role.PermissionsBoundary}
	}
}

// policyXML is a managed policy.
type policyXML struct {
	PolicyName       string              `xml:"PolicyName"`
	PolicyID         string              `xml:"PolicyId"`
	ARN              string              `xml:"Arn"`
	Path             string              `xml:"Path"`
	DefaultVersionID string              `xml:"DefaultVersionId"`
	AttachmentCount  int                 `xml:"AttachmentCount"`
	BoundaryCount    int                 `xml:"PermissionsBoundaryUsageCount"`
	IsAttachable     bool                `xml:"IsAttachable"`
	Description      string              `xml:"Description,omitempty"`
	CreateDate       string              `xml:"CreateDate"`
	UpdateDate       string              `xml:"UpdateDate"`
	Tags             *query.List[tagXML] `xml:"Tags"`
}

func showPolicy(p *iam.Policy) policyXML {
	created := query.Seconds(p.Created)
	return policyXML{
		PolicyName: p.Name, PolicyID: p.ID, ARN: p.ARN(), Path: p.Path, DefaultVersionID: "v1",
		IsAttachable: true, CreateDate: created, UpdateDate: created,
	}
}
