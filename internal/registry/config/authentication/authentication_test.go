package authentication

import (
	"strings"
	"testing"

	configv1 "laterna.dev/laterna/api/config/v1"
	"laterna.dev/laterna/internal/registry/resource"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		spec configv1.AuthenticationSpec
		want string
	}{
		{configv1.AuthenticationSpec{}, ""},
		{configv1.AuthenticationSpec{Type: "None", ServiceAccountIssuer: "https://test.default.svc"}, ""},
		{configv1.AuthenticationSpec{ServiceAccountIssuer: "plain"}, ""},
		{configv1.AuthenticationSpec{Type: "OIDC"}, "spec.type: Unsupported value"},
		{configv1.AuthenticationSpec{ServiceAccountIssuer: "10.0.0.1:443/x"}, "spec.serviceAccountIssuer: Invalid value"},
		{configv1.AuthenticationSpec{ServiceAccountIssuer: "https://me:secret@test.example"}, "must not hold a user or a password"},
		{configv1.AuthenticationSpec{ServiceAccountIssuer: "https://" + strings.Repeat("a", maxIssuer)}, "spec.serviceAccountIssuer: Too long"},
	} {
		err := validate(&configv1.Authentication{Spec: tc.spec}).ToAggregate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want %q", tc.spec, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "me:secret") {
			t.Errorf("the message shows the password: %v", err)
		}
	}
	if errs := resource.Only(configv1.Name)("other", false); len(errs) != 1 {
		t.Errorf("another name: %v", errs)
	}
	if warnings := warn(&configv1.Authentication{Spec: configv1.AuthenticationSpec{ServiceAccountIssuer: "plain"}}); len(warnings) != 1 {
		t.Errorf("an issuer that cannot be discovered: %v", warnings)
	}
}
