package kubeapiserver

import (
	"strings"
	"testing"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

func TestValidateStatus(t *testing.T) {
	for _, tc := range []struct {
		status operatorv1.KubeAPIServerStatus
		want   string
	}{
		{operatorv1.KubeAPIServerStatus{}, ""},
		{operatorv1.KubeAPIServerStatus{ServiceAccountIssuers: []operatorv1.ServiceAccountIssuerStatus{{Name: "https://a"}}}, ""},
		{operatorv1.KubeAPIServerStatus{ServiceAccountIssuers: []operatorv1.ServiceAccountIssuerStatus{{Name: "https://a"}, {}}}, "status.serviceAccountIssuers[1].name: Invalid value"},
		{operatorv1.KubeAPIServerStatus{Conditions: []operatorv1.OperatorCondition{{Type: "X", Status: "Maybe"}}}, "status.conditions[0].status: Unsupported value"},
	} {
		err := validateStatus(&tc.status).ToAggregate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want %q", tc.status, err, tc.want)
		}
	}
}

func TestGenerationFollowsTheSpecAlone(t *testing.T) {
	old := &operatorv1.KubeAPIServer{}
	old.Generation, old.Status.LatestAvailableRevision = 3, 7
	next := old.DeepCopy()
	next.Status.LatestAvailableRevision = 9
	if keepStatus(next, old); next.Generation != 3 || next.Status.LatestAvailableRevision != 7 {
		t.Errorf("generation %d, revision %d", next.Generation, next.Status.LatestAvailableRevision)
	}
	next.Spec.ForceRedeploymentReason = "because"
	if keepStatus(next, old); next.Generation != 4 {
		t.Errorf("generation %d after a change of the spec", next.Generation)
	}
}
