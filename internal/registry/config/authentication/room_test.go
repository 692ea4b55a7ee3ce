package authentication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	testclock "k8s.io/utils/clock/testing"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/clock"
)

func TestOneIssuerTooManyIsRefusedAtTheWrite(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	server := &operatorv1.KubeAPIServer{Status: operatorv1.KubeAPIServerStatus{ServiceAccountIssuers: []operatorv1.ServiceAccountIssuerStatus{{Name: "https://active"}}}}
	for i := range 9 {
		server.Status.ServiceAccountIssuers = append(server.Status.ServiceAccountIssuers,
			operatorv1.ServiceAccountIssuerStatus{Name: fmt.Sprintf("https://%d", i), ExpirationTime: &metav1.Time{Time: now.Add(time.Duration(i+1) * time.Hour)}})
	}
	at := func(later time.Duration) clock.API { return clock.APIOf(testclock.NewFakeClock(now.Add(later))) }
	reads := func(s *operatorv1.KubeAPIServer, err error) func(context.Context) (*operatorv1.KubeAPIServer, error) {
		return func(context.Context) (*operatorv1.KubeAPIServer, error) { return s, err }
	}
	missing := apierrors.NewNotFound(operatorv1.KubeAPIServers.GroupResource(), operatorv1.Name)
	full := Room{Server: reads(server, nil), First: "https://first", Overlap: 24 * time.Hour, Clock: at(0)}
	with := func(change func(*Room)) Room { r := full; change(&r); return r }
	for _, tc := range []struct {
		name string
		room Room
		old  string
		new  string
		want string
	}{
		{"one too many", full, "https://active", "https://new", `spec.serviceAccountIssuer: Forbidden: 10 issuers are accepted already, which is the most at a time: "https://new" can be set once "https://0" has ended, at 2026-05-01T13:00:00Z;`},
		{"back to the flag's", full, "https://active", "", `"https://first" can be set once "https://0" has ended`},
		{"no change", full, "https://new", "https://new", ""},
		{"one that is trusted", full, "https://active", "https://5", ""},
		{"the one that is active", full, "https://new", "https://active", ""},
		{"the flag's is trusted", with(func(r *Room) { r.First = "https://5" }), "https://active", "", ""},
		{"later", with(func(r *Room) { r.Clock = at(time.Hour) }), "https://active", "https://new", ""},
		{"former ones end at once", with(func(r *Room) { r.Overlap = 0 }), "https://active", "https://new", ""},
		{"nothing is recorded yet", with(func(r *Room) { r.Server = reads(nil, missing) }), "https://active", "https://new", ""},
		{"the store does not answer", with(func(r *Room) { r.Server = reads(nil, errors.New("gone")) }), "https://active", "https://new", "spec.serviceAccountIssuer: Internal error: reading which issuers are accepted: gone"},
		{"an issuer that is wrong", full, "https://active", "10.0.0.1:443/x", "spec.serviceAccountIssuer: Invalid value"},
	} {
		rules := Definition(tc.room).Rules
		a, old := &configv1.Authentication{Spec: configv1.AuthenticationSpec{ServiceAccountIssuer: tc.new}}, &configv1.Authentication{Spec: configv1.AuthenticationSpec{ServiceAccountIssuer: tc.old}}
		for verb, errs := range map[string]field.ErrorList{"update": rules.ValidateUpdate(t.Context(), a, old), "create": rules.Validate(t.Context(), a)} {
			if verb == "create" && (tc.new == "" || tc.new == tc.old) {
				continue // nothing is asked for, or there is no former one
			}
			if err := errs.ToAggregate(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s, %s: %v, want %q", tc.name, verb, err, tc.want)
			}
		}
	}
}
