package queryapi_test

import (
	"fmt"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
)

// makePolicy makes a managed policy and returns its ARN.
func (d *desk) makePolicy(name string, params ...string) string {
	d.t.Helper()
	body := d.must("CreatePolicy", append([]string{"PolicyName", name, "PolicyDocument", readAll}, params...)...)
	_, rest, _ := strings.Cut(body, "<Arn>")
	arn, _, _ := strings.Cut(rest, "</Arn>")
	return arn
}

func TestManagedPolicies(t *testing.T) {
	d := newDesk(t)
	made := d.must("CreatePolicy", "PolicyName", "Read", "Path", "/x/", "Description", "reads", "PolicyDocument", readAll, "Tags.member.1.Key", "k", "Tags.member.1.Value", "v")
	parts := []string{"<PolicyName>Read<", "<PolicyId>ANPA", "<Arn>" + policies + "x/Read<", "<Path>/x/<", "<DefaultVersionId>v1<", "<AttachmentCount>0<",
		"<PermissionsBoundaryUsageCount>0<", "<IsAttachable>true<"}
	dates := []string{"<CreateDate>2026-09-11T11:48:26Z<", "<UpdateDate>2026-09-11T11:48:26Z<", "<Key>k<"}
	d.holds(made, append(parts, dates...)...)
	d.lacks(made, "Description")
	got := d.must("GetPolicy", "PolicyArn", policies+"x/Read")
	d.holds(got, append(append(parts, "<Description>reads<"), dates...)...)
	d.holds(d.must("ListPolicies", "Scope", "Local"), append([]string{"<IsTruncated>false<"}, parts...)...)
	d.lacks(d.must("ListPolicies"), "<Tags>", "Description")
	d.refused(409, "EntityAlreadyExists", "A policy called READ already exists. Duplicate names are not allowed.", "CreatePolicy", "PolicyName", "READ", "PolicyDocument", readAll)
	d.refused(400, "MalformedPolicyDocument", "Syntax errors in policy.", "CreatePolicy", "PolicyName", "a", "PolicyDocument", "{")
	big := strings.Replace(readAll, `"s3:Get*"`, `["s3:Get`+strings.Repeat(`*","s3:x`, 800)+`"]`, 1)
	d.refused(409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", "CreatePolicy", "PolicyName", "a", "PolicyDocument", big)
	for _, action := range []string{"GetPolicy", "DeletePolicy"} {
		d.refused(404, "NoSuchEntity", "Policy "+policies+"none was not found.", action, "PolicyArn", policies+"none")
		d.refused(400, "ValidationError", "Invalid ARN:  Could not be parsed!", action, "PolicyArn", strings.Repeat("x", 20))
	}
	d.must("DeletePolicy", "PolicyArn", policies+"x/Read")
	d.lacks(d.must("ListPolicies"), "<member>")
}

func TestPoliciesInPages(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{"AdministratorAccess", "Billing"} {
		if _, err := d.store.CreatePolicy(t.Context(), iam.Policy{Partition: "aws", Account: iam.AWSAccount, Name: name, Path: "/", Document: readAll}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		d.makePolicy(fmt.Sprint("p", i))
	}
	var got []string
	for marked, more := []string{}, true; more; {
		body := d.must("ListPolicies", append([]string{"MaxItems", "2"}, marked...)...)
		for _, part := range strings.Split(body, "<PolicyName>")[1:] {
			name, _, _ := strings.Cut(part, "<")
			got = append(got, name)
		}
		if more = strings.Contains(body, "<IsTruncated>true<"); more {
			marked = []string{"Marker", marker(t, body)}
		}
	}
	if fmt.Sprint(got) != "[AdministratorAccess Billing p0 p1 p2]" {
		t.Errorf("got %v", got)
	}
	d.lacks(d.must("ListPolicies", "Scope", "AWS"), "p0")
	d.makeRole("a", "PermissionsBoundary", policies+"p1")
	d.must("AttachRolePolicy", "RoleName", "a", "PolicyArn", "arn:aws:iam::aws:policy/Billing")
	attached := d.must("ListPolicies", "OnlyAttached", "true")
	d.holds(attached, "Billing", "p1")
	d.lacks(attached, "p0", "Administrator")
	d.lacks(d.must("ListPolicies", "OnlyAttached", "true", "PolicyUsageFilter", "PermissionsBoundary"), "Billing")
	d.holds(d.must("ListPolicies", "PolicyUsageFilter", "PermissionsBoundary"), "p0")
	d.holds(d.must("GetPolicy", "PolicyArn", "arn:aws:iam::aws:policy/Billing"), "<AttachmentCount>1<")
	d.refused(403, "AccessDenied", "User: arn:aws:iam::111122223333:user/administrator is not authorized to perform: iam:DeletePolicy on resource: policy arn:aws:iam::aws:policy/Billing because no resource-based policy allows the iam:DeletePolicy action",
		"DeletePolicy", "PolicyArn", "arn:aws:iam::aws:policy/Billing")
}
