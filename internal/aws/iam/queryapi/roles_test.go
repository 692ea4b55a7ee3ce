package queryapi_test

import (
	"fmt"
	"strings"
	"testing"
)

const (
	trust    = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}]}`
	readAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`
	roleARN  = "arn:aws:iam::111122223333:role/"
	policies = "arn:aws:iam::111122223333:policy/"
)

func (d *desk) makeRole(name string, params ...string) string {
	d.t.Helper()
	return d.must("CreateRole", append([]string{"RoleName", name, "AssumeRolePolicyDocument", trust}, params...)...)
}

func TestEachAnswerShowsItsPartOfARole(t *testing.T) {
	d := newDesk(t)
	boundary := d.makePolicy("edge")
	encoded := "%7B%22Version%22%3A%20%222012-10-17%22%2C%20%22Statement%22%3A%20%5B%7B"
	made := d.makeRole("Deployer", "Path", "/ci/", "Description", "deploys", "MaxSessionDuration", "7200",
		"PermissionsBoundary", boundary, "Tags.member.1.Key", "b", "Tags.member.1.Value", "2", "Tags.member.2.Key", "a", "Tags.member.2.Value", "")
	common := []string{"<Path>/ci/</Path>", "<RoleName>Deployer</RoleName>", "<RoleId>AROA", "<Arn>" + roleARN + "ci/Deployer</Arn>",
		"<CreateDate>2026-09-11T11:48:26Z</CreateDate>", "<AssumeRolePolicyDocument>" + encoded}
	d.holds(made, append([]string{`<CreateRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">`, "<CreateRoleResult>", "<Role>"}, append(common,
		"<PermissionsBoundaryType>Policy<", "<PermissionsBoundaryArn>"+boundary, "<Key>a</Key>", "<Value></Value>", "<Key>b</Key>")...)...)
	d.lacks(made, "Description", "MaxSessionDuration", "RoleLastUsed")

	got := d.must("GetRole", "RoleName", "dePLOYer")
	d.holds(got, append(common, "<Description>deploys<", "<MaxSessionDuration>7200<", "<PermissionsBoundaryArn>", "<Key>a</Key>", "<RoleLastUsed></RoleLastUsed>")...)

	list := d.must("ListRoles")
	d.holds(list, append([]string{"<IsTruncated>false</IsTruncated>", "<Roles>", "<member>"}, append(common, "<Description>deploys<", "<MaxSessionDuration>7200<")...)...)
	d.lacks(list, "<Tags>", "PermissionsBoundary", "RoleLastUsed", "<Marker>")
}

func TestUpdateLeavesWhatIsNotSent(t *testing.T) {
	d := newDesk(t)
	d.makeRole("a", "Description", "one", "MaxSessionDuration", "7200")
	if body := d.must("UpdateRole", "RoleName", "a"); !strings.Contains(body, "<UpdateRoleResult></UpdateRoleResult>") {
		t.Errorf("answer %s", body)
	}
	d.holds(d.must("GetRole", "RoleName", "a"), "<Description>one<", "<MaxSessionDuration>7200<")
	d.must("UpdateRole", "RoleName", "a", "Description", "")
	body := d.must("GetRole", "RoleName", "a")
	d.lacks(body, "Description")
	d.holds(body, "<MaxSessionDuration>7200<")
	d.must("UpdateRole", "RoleName", "a", "MaxSessionDuration", "3600")
	d.holds(d.must("GetRole", "RoleName", "a"), "<MaxSessionDuration>3600<")
	if body := d.must("UpdateAssumeRolePolicy", "RoleName", "a", "PolicyDocument", strings.Replace(trust, "111122223333", "444455556666", 1)); strings.Contains(body, "Result") {
		t.Errorf("answer %s", body)
	}
	d.holds(d.must("GetRole", "RoleName", "a"), "444455556666")
}

func TestWhatIsWrongWithARole(t *testing.T) {
	d := newDesk(t)
	d.makeRole("taken")
	long := strings.Repeat("x", 65)
	create := func(name string, params ...string) []string {
		return append([]string{"RoleName", name, "AssumeRolePolicyDocument", trust}, params...)
	}
	for _, tc := range []struct {
		status        int
		code, message string
		action        string
		params        []string
	}{
		{409, "EntityAlreadyExists", "Role with name TAKEN already exists.", "CreateRole", create("TAKEN")},
		{400, "ValidationError", "2 validation errors detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null; Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null", "CreateRole", nil},
		{400, "ValidationError", "1 validation error detected: Value at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64", "CreateRole", create(long)},
		{400, "ValidationError", "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", "CreateRole", create("a b")},
		{400, "ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.", "CreateRole", create("a", "Path", "/x")},
		{400, "ValidationError", "1 validation error detected: Value '3599' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600", "CreateRole", create("a", "MaxSessionDuration", "3599")},
		{400, "ValidationError", "1 validation error detected: Value '43201' at 'maxSessionDuration' failed to satisfy constraint: Member must have value less than or equal to 43200", "CreateRole", create("a", "MaxSessionDuration", "43201")},
		{400, "MalformedPolicyDocument", "This policy contains invalid Json", "CreateRole", []string{"RoleName", "a", "AssumeRolePolicyDocument", "{"}},
		{400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/none"`, "CreateRole", []string{"RoleName", "a", "AssumeRolePolicyDocument", strings.Replace(trust, "111122223333", "arn:aws:iam::111122223333:role/none", 1)}},
		{409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", "CreateRole", []string{"RoleName", "a", "AssumeRolePolicyDocument", strings.Replace(trust, `"Effect"`, `"Condition": {"StringEquals": {"a:b": "`+strings.Repeat("x", 2000)+`"}}, "Effect"`, 1)}},
		{400, "InvalidInput", "Tag keys beginning with aws: are reserved for system use.", "CreateRole", create("a", "Tags.member.1.Key", "AWS:x", "Tags.member.1.Value", "")},
		{400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", "CreateRole", create("a", "Tags.member.1.Key", "x", "Tags.member.1.Value", "", "Tags.member.2.Key", "X", "Tags.member.2.Value", "")},
		{404, "NoSuchEntity", "Scope ARN: arn:aws:iam::111122223333:policy/none does not exist or is not attachable.", "CreateRole", create("a", "PermissionsBoundary", policies+"none")},
		{404, "NoSuchEntity", "The role with name none cannot be found.", "GetRole", []string{"RoleName", "none"}},
		{404, "NoSuchEntity", "The role with name none cannot be found.", "UpdateRole", []string{"RoleName", "none"}},
		{404, "NoSuchEntity", "The role with name none cannot be found.", "DeleteRole", []string{"RoleName", "none"}},
		{404, "NoSuchEntity", "The role with name none cannot be found.", "UpdateAssumeRolePolicy", []string{"RoleName", "none", "PolicyDocument", trust}},
		{400, "MalformedPolicyDocument", "Has prohibited field Resource", "UpdateAssumeRolePolicy", []string{"RoleName", "taken", "PolicyDocument", strings.Replace(trust, `"Effect"`, `"Resource": "*", "Effect"`, 1)}},
		{400, "ValidationError", "1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000", "ListRoles", []string{"MaxItems", "1001"}},
		{400, "ValidationError", "Invalid Marker.", "ListRoles", []string{"Marker", "*"}},
		{400, "InvalidAction", "Could not find operation CreateUser for version 2010-05-08", "CreateUser", []string{"UserName", "x"}},
	} {
		d.refused(tc.status, tc.code, tc.message, tc.action, tc.params...)
	}
	d.holds(d.must("ListRoles"), "<RoleName>taken<")
	d.lacks(d.must("ListRoles"), "<RoleName>a<")
}

func TestRolesInPages(t *testing.T) {
	d := newDesk(t)
	for i := range 5 {
		path := "/"
		if i%2 == 1 {
			path = "/odd/"
		}
		d.makeRole(fmt.Sprintf("r%d", i), "Path", path)
	}
	first := d.must("ListRoles", "MaxItems", "2")
	d.holds(first, "<IsTruncated>true</IsTruncated>", "<Marker>", "<RoleName>r0<", "<RoleName>r1<")
	next := d.must("ListRoles", "MaxItems", "3", "Marker", marker(t, first))
	d.holds(next, "<IsTruncated>false</IsTruncated>", "<RoleName>r2<", "<RoleName>r3<", "<RoleName>r4<")
	d.lacks(next, "<Marker>", "<RoleName>r1<")
	odd := d.must("ListRoles", "PathPrefix", "/odd/")
	d.holds(odd, "<RoleName>r1<", "<RoleName>r3<")
	d.lacks(odd, "<RoleName>r2<")
	half := d.must("ListRoles", "PathPrefix", "/odd/", "MaxItems", "1")
	rest := d.must("ListRoles", "PathPrefix", "/odd/", "MaxItems", "1", "Marker", marker(t, half))
	d.holds(rest, "<IsTruncated>", "<RoleName>r3<")
	d.lacks(rest, "<RoleName>r1<")
}

// marker is where the next page begins.
func marker(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, "<Marker>")
	m, _, ok2 := strings.Cut(rest, "</Marker>")
	if !ok || !ok2 {
		t.Fatalf("no marker in\n%s", body)
	}
	return m
}

func TestPoliciesOfARole(t *testing.T) {
	d := newDesk(t)
	d.makeRole("a")
	if body := d.must("PutRolePolicy", "RoleName", "a", "PolicyName", "Read", "PolicyDocument", readAll); strings.Contains(body, "Result") {
		t.Errorf("answer %s", body)
	}
	d.must("PutRolePolicy", "RoleName", "a", "PolicyName", "READ", "PolicyDocument", " "+readAll)
	d.must("PutRolePolicy", "RoleName", "a", "PolicyName", "b", "PolicyDocument", readAll)
	d.holds(d.must("ListRolePolicies", "RoleName", "a"), "<IsTruncated>false<", "<PolicyNames>", "<member>Read</member>", "<member>b</member>", "</PolicyNames>")
	d.holds(d.must("GetRolePolicy", "RoleName", "a", "PolicyName", "rEAD"), "<RoleName>a<", "<PolicyName>rEAD<", "<PolicyDocument>%20%7B%22Version%22")
	d.refused(409, "DeleteConflict", "Cannot delete entity, must delete policies first.", "DeleteRole", "RoleName", "a")
	d.refused(404, "NoSuchEntity", "The role policy with name c cannot be found.", "GetRolePolicy", "RoleName", "a", "PolicyName", "c")
	d.refused(404, "NoSuchEntity", "The role policy with name c cannot be found.", "DeleteRolePolicy", "RoleName", "a", "PolicyName", "c")
	d.refused(400, "MalformedPolicyDocument", "Policy document should not specify a principal.", "PutRolePolicy", "RoleName", "a", "PolicyName", "c",
		"PolicyDocument", strings.Replace(readAll, `"Effect"`, `"Principal":"*","Effect"`, 1))
	big := strings.Replace(readAll, `"s3:Get*"`, `["s3:Get`+strings.Repeat(`*","s3:x`, 1300)+`"]`, 1)
	d.refused(409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role a", "PutRolePolicy", "RoleName", "A", "PolicyName", "c", "PolicyDocument", big)
	page := d.must("ListRolePolicies", "RoleName", "a", "MaxItems", "1")
	d.holds(page, "<IsTruncated>true<", "<member>Read<")
	d.holds(d.must("ListRolePolicies", "RoleName", "a", "MaxItems", "1", "Marker", marker(t, page)), "<IsTruncated>false<", "<member>b<")
	d.must("DeleteRolePolicy", "RoleName", "a", "PolicyName", "read")
	d.must("DeleteRolePolicy", "RoleName", "a", "PolicyName", "b")
	d.must("DeleteRole", "RoleName", "a")
}

func TestAttachedPolicies(t *testing.T) {
	d := newDesk(t)
	d.makeRole("a")
	arn := d.makePolicy("p", "Path", "/x/")
	d.must("AttachRolePolicy", "RoleName", "a", "PolicyArn", arn)
	d.must("AttachRolePolicy", "RoleName", "a", "PolicyArn", arn)
	d.holds(d.must("ListAttachedRolePolicies", "RoleName", "a"), "<IsTruncated>false<", "<PolicyName>p<", "<PolicyArn>"+arn)
	d.lacks(d.must("ListAttachedRolePolicies", "RoleName", "a", "PathPrefix", "/y/"), "<member>")
	d.refused(409, "DeleteConflict", "Cannot delete entity, must detach all policies first.", "DeleteRole", "RoleName", "a")
	d.refused(409, "DeleteConflict", "Cannot delete a policy attached to entities.", "DeletePolicy", "PolicyArn", arn)
	d.holds(d.must("GetPolicy", "PolicyArn", arn), "<AttachmentCount>1<", "<PermissionsBoundaryUsageCount>0<")
	for _, none := range []string{policies + "none", policies + "p", "arn:aws:iam::444455556666:policy/x"} {
		d.refused(404, "NoSuchEntity", "Policy "+none+" does not exist or is not attachable.", "AttachRolePolicy", "RoleName", "a", "PolicyArn", none)
		d.refused(404, "NoSuchEntity", "Policy "+none+" was not found.", "DetachRolePolicy", "RoleName", "a", "PolicyArn", none)
	}
	d.refused(400, "ValidationError", "Invalid ARN:  Could not be parsed!", "AttachRolePolicy", "RoleName", "a", "PolicyArn", strings.Repeat("x", 20))
	for i := range 9 {
		d.must("AttachRolePolicy", "RoleName", "a", "PolicyArn", d.makePolicy(fmt.Sprint("p", i)))
	}
	d.refused(409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10", "AttachRolePolicy", "RoleName", "a", "PolicyArn", d.makePolicy("q"))
	page := d.must("ListAttachedRolePolicies", "RoleName", "a", "MaxItems", "9")
	d.holds(d.must("ListAttachedRolePolicies", "RoleName", "a", "Marker", marker(t, page)), "<IsTruncated>false<", "<PolicyName>p8<")
	d.must("DetachRolePolicy", "RoleName", "a", "PolicyArn", arn)
	d.must("DeletePolicy", "PolicyArn", arn)
}

func TestRoleThatIsGoneIsShownByItsID(t *testing.T) {
	d := newDesk(t)
	d.makeRole("a")
	a, err := d.store.Role(t.Context(), account, "a")
	if err != nil {
		t.Fatal(err)
	}
	d.must("CreateRole", "RoleName", "b", "AssumeRolePolicyDocument", strings.Replace(trust, "111122223333", roleARN+"a", 1))
	d.holds(d.must("GetRole", "RoleName", "b"), "role%2Fa%22")
	d.must("DeleteRole", "RoleName", "a")
	d.makeRole("a")
	body := d.must("GetRole", "RoleName", "b")
	d.holds(body, "%22AWS%22%3A%20%22"+a.ID+"%22")
	d.lacks(body, "role%2Fa%22")
}
