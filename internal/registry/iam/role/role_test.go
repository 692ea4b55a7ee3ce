package role

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
)

const (
	trustAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}`
	document     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
)

// good is a role with everything in it.
func good() *object {
	return &object{
		ObjectMeta: metav1.ObjectMeta{Name: "111122223333:deployer"},
		Spec: v1alpha1.RoleSpec{
			Partition: "aws-cn", Account: "111122223333", RoleName: "Deployer", Path: "/ci/", Description: "deploys", AssumeRolePolicyDocument: trustAccount,
			MaxSessionDuration: 7200, InlinePolicies: []v1alpha1.InlinePolicy{{Name: "Read", Document: document}},
			AttachedPolicies: []string{"arn:aws:iam::aws:policy/a"}, PermissionsBoundary: "arn:aws:iam::111122223333:policy/x/edge",
			Tags: []v1alpha1.Tag{{Key: "team", Value: "aws:blue"}},
		},
	}
}

func TestRolesThatAreRefused(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	wide := strings.Replace(trustAccount, `"Effect"`, `"Condition":{"StringEquals":{"a:b":"`+long(4000)+`"}},"Effect"`, 1)
	many := func(n int) (arns []string) {
		for i := range n {
			arns = append(arns, fmt.Sprint("arn:aws:iam::aws:policy/p", i))
		}
		return arns
	}
	for name, tc := range map[string]struct {
		change func(*object)
		want   string
	}{
		"good":            {func(*object) {}, ""},
		"another name":    {func(r *object) { r.Name = "111122223333:Deployer" }, `metadata.name: Invalid value: "111122223333:Deployer": must be "111122223333:deployer"`},
		"another account": {func(r *object) { r.Spec.Account = "444455556666" }, `metadata.name: Invalid value: "111122223333:deployer": must be "444455556666:deployer"`},
		"no account":      {func(r *object) { r.Spec.Account = "aws" }, `spec.account: Invalid value: "aws": must be twelve digits`},
		"partition":       {func(r *object) { r.Spec.Partition = "Mars" }, `spec.partition: Invalid value: "Mars"`},
		"path":            {func(r *object) { r.Spec.Path = "/x" }, `spec.path: Invalid value: "/x": must begin and end with a slash`},
		"no name":         {func(r *object) { r.Spec.RoleName = "" }, "spec.roleName: Required value"},
		"long name":       {func(r *object) { r.Spec.RoleName = long(65) }, "spec.roleName: Too long: may not be more than 64"},
		"odd name":        {func(r *object) { r.Spec.RoleName = "a b" }, `spec.roleName: Invalid value: "a b": must have only letters, digits and +=,.@_-`},
		"description":     {func(r *object) { r.Spec.Description = long(1001) }, "spec.description: Too long: may not be more than 1000"},
		"odd description": {func(r *object) { r.Spec.Description = "☃" }, "spec.description: Invalid value"},
		"no trust":        {func(r *object) { r.Spec.AssumeRolePolicyDocument = "" }, "spec.assumeRolePolicyDocument: Required value"},
		"broken trust":    {func(r *object) { r.Spec.AssumeRolePolicyDocument = "{" }, "spec.assumeRolePolicyDocument: Invalid value: This policy contains invalid Json"},
		"wide trust":      {func(r *object) { r.Spec.AssumeRolePolicyDocument = wide }, "spec.assumeRolePolicyDocument: Too long: may not be more than 4096"},
		"trust in nobody": {func(r *object) { r.Status.Principals = []v1alpha1.Principal{{ARN: "arn:x"}} }, `spec.assumeRolePolicyDocument: Invalid value: Invalid principal in policy: "AWS":"arn:x"`},
		"short session":   {func(r *object) { r.Spec.MaxSessionDuration = 3599 }, "spec.maxSessionDuration: Invalid value: 3599: must be between 3600 and 43200, inclusive"},
		"long session":    {func(r *object) { r.Spec.MaxSessionDuration = 43201 }, "spec.maxSessionDuration: Invalid value: 43201"},
		"inline name":     {func(r *object) { r.Spec.InlinePolicies[0].Name = "" }, "spec.inlinePolicies[0].name: Required value"},
		"inline twice": {func(r *object) {
			r.Spec.InlinePolicies = append(r.Spec.InlinePolicies, v1alpha1.InlinePolicy{Name: "READ", Document: document})
		}, `spec.inlinePolicies[1].name: Duplicate value: "READ"`},
		"inline broken":    {func(r *object) { r.Spec.InlinePolicies[0].Document = "{}" }, "spec.inlinePolicies[0].document: Invalid value"},
		"inline principal": {func(r *object) { r.Spec.InlinePolicies[0].Document = trustAccount }, "spec.inlinePolicies[0].document: Invalid value: "},
		"attached":         {func(r *object) { r.Spec.AttachedPolicies[0] = "a" }, `spec.attachedPolicies[0]: Invalid value: "a": must be the ARN of a managed policy`},
		"attached twice":   {func(r *object) { r.Spec.AttachedPolicies = append(r.Spec.AttachedPolicies, r.Spec.AttachedPolicies[0]) }, "spec.attachedPolicies[1]: Duplicate value"},
		"many attached":    {func(r *object) { r.Spec.AttachedPolicies = many(21) }, "spec.attachedPolicies: Too many: 21: must have at most 20 items"},
		"boundary":         {func(r *object) { r.Spec.PermissionsBoundary = "arn:aws:iam::111122223333:role/x" }, "spec.permissionsBoundary: Invalid value"},
		"tag of AWS":       {func(r *object) { r.Spec.Tags[0].Key = "AWS:x" }, `spec.tags[0].key: Invalid value: "AWS:x": keys that begin with aws: are reserved`},
		"tag twice":        {func(r *object) { r.Spec.Tags = append(r.Spec.Tags, v1alpha1.Tag{Key: "TEAM"}) }, `spec.tags[1].key: Duplicate value: "TEAM"`},
		"tag without key":  {func(r *object) { r.Spec.Tags[0].Key = "" }, "spec.tags[0].key: Required value"},
		"odd tag":          {func(r *object) { r.Spec.Tags[0].Value = "a;b" }, `spec.tags[0].value: Invalid value: "a;b"`},
		"many tags":        {func(r *object) { r.Spec.Tags = make([]v1alpha1.Tag, 51) }, "spec.tags: Too many: 51: must have at most 50 items"},
	} {
		r := good()
		tc.change(r)
		if err := validate(r).ToAggregate(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v\nwant %s", name, err, tc.want)
		}
	}
}

func TestNameSaysWhatASpecLeavesOut(t *testing.T) {
	d := Definition(nil)
	r := &object{ObjectMeta: metav1.ObjectMeta{Name: "111122223333:app"}, Spec: v1alpha1.RoleSpec{AssumeRolePolicyDocument: trustAccount}}
	d.Default(r)
	d.Rules.PrepareCreate(t.Context(), r)
	if errs := d.Rules.Validate(t.Context(), r); len(errs) != 0 {
		t.Error(errs)
	}
	if r.Status.ARN != "arn:aws:iam::111122223333:role/app" || !strings.HasPrefix(r.Status.RoleID, "AROA") || r.Spec.MaxSessionDuration != 3600 {
		t.Errorf("%+v", r)
	}
	odd := &object{ObjectMeta: metav1.ObjectMeta{Name: "app"}}
	d.Default(odd)
	if odd.Spec.Account != "" || odd.Spec.RoleName != "" {
		t.Errorf("from a name without an account: %+v", odd.Spec)
	}
}

func TestIdentityOfARoleStays(t *testing.T) {
	d := Definition(func(context.Context, string) string { return "" })
	old := good()
	old.Status.RoleID = iam.NewID(iam.RolePrefix)
	for field, change := range map[string]func(*object){
		"spec.partition": func(r *object) { r.Spec.Partition = "aws" },
		"spec.account":   func(r *object) { r.Spec.Account = "444455556666" },
		"spec.roleName":  func(r *object) { r.Spec.RoleName = "DEPLOYER" },
		"spec.path":      func(r *object) { r.Spec.Path = "/" },
	} {
		r := old.DeepCopy()
		change(r)
		if errs := fmt.Sprint(d.Rules.ValidateUpdate(t.Context(), r, old)); !strings.Contains(errs, field+": Invalid value") || !strings.Contains(errs, "field is immutable") {
			t.Errorf("%s: %s", field, errs)
		}
	}
	r := old.DeepCopy()
	r.Status = v1alpha1.RoleStatus{RoleID: "AROAMINE"}
	d.Rules.PrepareUpdate(t.Context(), r, old)
	if r.Status.RoleID != old.Status.RoleID {
		t.Errorf("a client gave the id %s", r.Status.RoleID)
	}
}

func TestTableOfRoles(t *testing.T) {
	d := Definition(nil)
	r := good()
	r.Status = v1alpha1.RoleStatus{ARN: "arn", RoleID: "AROAX"}
	if row := d.Columns.Row(r); fmt.Sprint(row) != "[111122223333:deployer arn AROAX 7200 <unknown>]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
}
