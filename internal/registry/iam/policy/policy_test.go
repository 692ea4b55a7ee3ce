package policy

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api/iam/v1alpha1"
)

const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`

func good() *object {
	return &object{ObjectMeta: metav1.ObjectMeta{Name: "111122223333:read"}, Spec: v1alpha1.PolicySpec{PolicyName: "Read", Path: "/x/", Document: document}}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	d := Definition()
	wide := strings.Replace(document, `"s3:*"`, `["s3:`+strings.Repeat(`a","s3:`, 1000)+`b"]`, 1)
	for name, tc := range map[string]struct {
		change func(*object)
		want   string
	}{
		"good":         {func(*object) {}, ""},
		"of AWS":       {func(p *object) { p.Name = "aws:read" }, ""},
		"another name": {func(p *object) { p.Spec.PolicyName = "write" }, `metadata.name: Invalid value: "111122223333:read": must be "111122223333:write"`},
		"account":      {func(p *object) { p.Name = "me:read" }, `spec.account: Invalid value: "me": must be twelve digits`},
		"long name":    {func(p *object) { p.Spec.PolicyName = strings.Repeat("x", 129) }, "spec.policyName: Too long: may not be more than 128"},
		"no document":  {func(p *object) { p.Spec.Document = "" }, "spec.document: Required value"},
		"broken":       {func(p *object) { p.Spec.Document = "{" }, "spec.document: Invalid value: Syntax errors in policy."},
		"wide":         {func(p *object) { p.Spec.Document = wide }, "spec.document: Too long: may not be more than 6144"},
		"case of tags": {func(p *object) { p.Spec.Tags = []v1alpha1.Tag{{Key: "a"}, {Key: "A"}} }, ""},
		"tag twice":    {func(p *object) { p.Spec.Tags = []v1alpha1.Tag{{Key: "a"}, {Key: "a"}} }, `spec.tags[1].key: Duplicate value: "a"`},
	} {
		p := good()
		tc.change(p)
		d.Default(p)
		if err := d.Rules.Validate(t.Context(), p).ToAggregate(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v\nwant %s", name, err, tc.want)
		}
	}
}

func TestIdentityOfAPolicyStays(t *testing.T) {
	d := Definition()
	old := good()
	d.Default(old)
	d.Rules.PrepareCreate(t.Context(), old)
	if old.Status.ARN != "arn:aws:iam::111122223333:policy/x/Read" || !strings.HasPrefix(old.Status.PolicyID, "ANPA") {
		t.Errorf("status %+v", old.Status)
	}
	p := old.DeepCopy()
	p.Spec.Path, p.Status.PolicyID = "/", "mine"
	d.Rules.PrepareUpdate(t.Context(), p, old)
	if errs := fmt.Sprint(d.Rules.ValidateUpdate(t.Context(), p, old)); !strings.Contains(errs, `spec.path: Invalid value: "/": field is immutable`) || p.Status != old.Status {
		t.Errorf("%s, %+v", errs, p.Status)
	}
	if row := d.Columns.Row(old); fmt.Sprint(row) != "[111122223333:read "+old.Status.ARN+" <unknown>]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
}
