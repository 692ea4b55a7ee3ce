package openidconnectprovider

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
)

var now = time.Date(2026, 9, 11, 11, 48, 26, 123456789, time.UTC)

func definition() resource.Definition[*object] {
	return Definition(clock.WallOf(clocktesting.NewFakeClock(now)))
}

func good() *object {
	return &object{
		ObjectMeta: metav1.ObjectMeta{Name: "111122223333:Issuer.example~1id~1"},
		Spec:       v1alpha1.OpenIDConnectProviderSpec{ClientIDs: []string{"sts.amazonaws.com", "b"}, Thumbprints: []string{strings.Repeat("A", 40)}},
	}
}

func TestProvidersThatAreRefused(t *testing.T) {
	d := definition()
	for name, tc := range map[string]struct {
		change func(*object)
		want   string
	}{
		"good":             {func(*object) {}, ""},
		"named":            {func(p *object) { p.Spec.URL, p.Spec.Account = "https://Issuer.example:443/id/", "111122223333" }, ""},
		"a port":           {func(p *object) { p.Name = "111122223333:127.0.0.1:6443" }, ""},
		"another URL":      {func(p *object) { p.Spec.URL = "https://Issuer.example/id" }, `metadata.name: Invalid value: "111122223333:Issuer.example~1id~1": must be "111122223333:Issuer.example~1id"`},
		"no URL":           {func(p *object) { p.Name = "111122223333" }, "spec.url: Required value"},
		"http":             {func(p *object) { p.Spec.URL = "http://a.example" }, `spec.url: Invalid value: "http://a.example": must begin with https://`},
		"query":            {func(p *object) { p.Spec.URL = "https://a.example?x" }, "spec.url: Invalid value"},
		"long":             {func(p *object) { p.Spec.URL = "https://" + strings.Repeat("a", 250) }, "spec.url: Too long: may not be more than 255"},
		"client twice":     {func(p *object) { p.Spec.ClientIDs[1] = "sts.amazonaws.com" }, `spec.clientIDs[1]: Duplicate value: "sts.amazonaws.com"`},
		"no client":        {func(p *object) { p.Spec.ClientIDs[0] = "" }, "spec.clientIDs[0]: Required value"},
		"long client":      {func(p *object) { p.Spec.ClientIDs[0] = strings.Repeat("a", 256) }, "spec.clientIDs[0]: Too long"},
		"many clients":     {func(p *object) { p.Spec.ClientIDs = make([]string, 101) }, "spec.clientIDs: Too many: 101"},
		"thumbprint":       {func(p *object) { p.Spec.Thumbprints[0] = "a" }, `spec.thumbprints[0]: Invalid value: "a": must have 40 characters`},
		"many thumbprints": {func(p *object) { p.Spec.Thumbprints = make([]string, 6) }, "spec.thumbprints: Too many: 6"},
	} {
		p := good()
		tc.change(p)
		d.Default(p)
		if err := d.Rules.Validate(t.Context(), p).ToAggregate(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v\nwant %s", name, err, tc.want)
		}
	}
}

func TestIdentityOfAProviderStays(t *testing.T) {
	d := definition()
	old := good()
	d.Default(old)
	d.Rules.PrepareCreate(t.Context(), old)
	if old.Spec.URL != "https://Issuer.example/id/" || old.Spec.Thumbprints[0] != strings.Repeat("a", 40) ||
		old.Status.ARN != "arn:aws:iam::111122223333:oidc-provider/Issuer.example/id/" || !old.Status.CreateDate.Equal(&metav1.MicroTime{Time: now.Truncate(time.Millisecond)}) {
		t.Errorf("%+v", old)
	}
	p := old.DeepCopy()
	p.Spec.URL, p.Status.CreateDate = "https://a.example", nil
	d.Rules.PrepareUpdate(t.Context(), p, old)
	if errs := fmt.Sprint(d.Rules.ValidateUpdate(t.Context(), p, old)); !strings.Contains(errs, `spec.url: Invalid value: "https://a.example": field is immutable`) || p.Status.CreateDate == nil {
		t.Errorf("%s, %+v", errs, p.Status)
	}
	want := "[111122223333:Issuer.example~1id~1 111122223333 https://Issuer.example/id/ sts.amazonaws.com,b <unknown> " + old.Status.ARN + "]"
	if row := d.Columns.Row(old); fmt.Sprint(row) != want || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
}
