package server

import (
	"encoding/json"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

// TestFormerIssuerIsRefusedOnceItIsTakenOutOfTheStatus: docs/issuers.md says so to who
// cannot wait for the end of a former issuer.
func TestFormerIssuerIsRefusedOnceItIsTakenOutOfTheStatus(t *testing.T) {
	w := begin(t)
	ctx, client := w.Context(), w.admin.Discovery().RESTClient()
	token, err := w.admin.CoreV1().ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	w.must(err)
	review := func() authenticationv1.TokenReviewStatus {
		r, err := w.admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{})
		w.must(err)
		return r.Status
	}
	status := func() operatorv1.KubeAPIServerStatus {
		var k operatorv1.KubeAPIServer
		raw, err := client.Get().AbsPath("/apis/operator.openshift.io/v1/kubeapiservers/cluster").SetHeader("Accept", "application/json").DoRaw(ctx)
		w.must(err)
		w.must(json.Unmarshal(raw, &k))
		return k.Status
	}
	w.must(client.Patch(types.MergePatchType).AbsPath("/apis/" + configv1.SchemeGroupVersion.String() + "/authentications/cluster").
		Body([]byte(`{"spec":{"serviceAccountIssuer":"https://test.default.svc"}}`)).Do(ctx).Error())
	w.eventually("the issuer has changed", func() bool { return len(status().ServiceAccountIssuers) == 2 })
	if s := review(); !s.Authenticated {
		t.Fatalf("the former issuer is trusted, and its token is refused: %s", s.Error)
	}
	w.must(client.Patch(types.MergePatchType).AbsPath("/apis/operator.openshift.io/v1/kubeapiservers/cluster/status").
		Body([]byte(`{"status":{"serviceAccountIssuers":[{"name":"https://test.default.svc"}]}}`)).Do(ctx).Error())
	w.eventually("the token is refused", func() bool { s := review(); return !s.Authenticated && strings.Contains(s.Error, "issuer") })
	before := status().LatestAvailableRevision
	// The controller writes the status again, and leaves the issuer out.
	w.must(client.Patch(types.MergePatchType).AbsPath("/apis/operator.openshift.io/v1/kubeapiservers/cluster").
		Body([]byte(`{"spec":{"forceRedeploymentReason":"again"}}`)).Do(ctx).Error())
	w.eventually("the revision has changed", func() bool { return status().LatestAvailableRevision > before })
	if s, all := review(), status().ServiceAccountIssuers; s.Authenticated || len(all) != 1 {
		t.Errorf("the former issuer is trusted again: %v", all)
	}
}
