package review

import (
	"encoding/json"
	"testing"

	"laterna.dev/laterna/internal/aws/podidentity"
)

// FuzzReview reads whatever somebody sends; what is read is answered, and the answer can be
// written.
func FuzzReview(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"request": null}`))
	f.Add([]byte(`{"request": {"object": {"metadata": {"labels": {}}, "spec": {"volumes": [], "containers": [{}], "initContainers": [{"env": [{"name": "AWS_REGION"}]}]}}}}`))
	f.Add([]byte(`{"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "1", "namespace": "n", "object": {"metadata": {"annotations": {"eks.amazonaws.com/skip-containers": "\"", "eks.amazonaws.com/token-expiration": "9223372036854775808"}}}}}`))
	settings := podidentity.Defaults()
	settings.Region, settings.RegionalSTS = "eu-central-1", true
	entry := settings.OfAccount(map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/reader"})
	f.Fuzz(func(t *testing.T, body []byte) {
		r, refusal := Read(body)
		if refusal != nil {
			if refusal.Response.Allowed {
				t.Error("allowed what cannot be read")
			}
			if _, err := json.Marshal(refusal); err != nil {
				t.Error(err)
			}
			return
		}
		for _, from := range []podidentity.Sources{
			{Account: &entry},
			{Identities: podidentity.Identities{r.Pod.Namespace + "/" + r.Pod.Spec.ServiceAccountName: {}}, Random: func(int64) int64 { return 0 }},
		} {
			injection := settings.Decide(r.Pod, r.Pod.Namespace, from)
			a := r.Allowed(injection)
			if _, err := json.Marshal(a); err != nil || !a.Response.Allowed || !json.Valid(a.Response.Patch) {
				t.Errorf("answered %+v: %v", a.Response, err)
			}
			injection.Apply(r.Pod)
			_ = settings.Report(r.Pod, nil, injection, nil)
		}
	})
}
