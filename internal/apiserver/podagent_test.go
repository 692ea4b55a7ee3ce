package apiserver

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"laterna.dev/laterna/internal/aws/sts"
)

func TestBearerIsThePodOfAToken(t *testing.T) {
	pod := serviceaccount.ServiceAccountInfo{Namespace: "shop", Name: "builder", UID: "u", PodName: "p", PodUID: "1"}
	account := serviceaccount.ServiceAccountInfo{Namespace: "shop", Name: "builder", UID: "u"}
	for name, tc := range map[string]struct {
		user user.Info
		want sts.Bearer
		ok   bool
	}{
		"a pod":             {pod.UserInfo(), sts.Bearer{Namespace: "shop", ServiceAccount: "builder", Pod: "p", PodUID: "1"}, true},
		"a service account": {account.UserInfo(), sts.Bearer{Namespace: "shop", ServiceAccount: "builder"}, true},
		"somebody else":     {&user.DefaultInfo{Name: "ann", Extra: pod.UserInfo().GetExtra()}, sts.Bearer{}, false},
	} {
		if got, err := bearerAs(tc.user); got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
