// Package review reads AdmissionReviews of pods and words the answers, as the Amazon EKS Pod
// Identity Webhook does.
//
// It is pure: what a pod is to be given says internal/aws/podidentity, and who asks over the
// network is internal/aws/podidentity/webhook's.
package review

import (
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"laterna.dev/laterna/internal/aws/podidentity"
)

// Review is what was asked: a pod that is created. A review of v1beta1 has the same fields.
type Review struct {
	// Pod is nil where the review cannot be read.
	Pod   *corev1.Pod
	asked admissionv1.AdmissionReview
}

// Read reads a review. What cannot be read is refused in the answer that it returns, as the
// webhook does, and not with a status of HTTP.
func Read(body []byte) (Review, *admissionv1.AdmissionReview) {
	var r Review
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &r.asked); err != nil {
		return r, r.Refused(err.Error())
	}
	if r.asked.Request == nil {
		return r, r.Refused("bad content")
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(r.asked.Request.Object.Raw, pod); err != nil {
		return r, r.Refused(err.Error())
	}
	r.Pod = pod
	r.Pod.Namespace = r.asked.Request.Namespace
	return r, nil
}

// answer completes an answer with what it repeats of the question.
func (r *Review) answer(a *admissionv1.AdmissionResponse) *admissionv1.AdmissionReview {
	if r.asked.Request != nil {
		a.UID = r.asked.Request.UID
	}
	return &admissionv1.AdmissionReview{TypeMeta: r.asked.TypeMeta, Response: a}
}

// Refused keeps the pod out.
func (r *Review) Refused(message string) *admissionv1.AdmissionReview {
	return r.answer(&admissionv1.AdmissionResponse{Result: &metav1.Status{Message: message}})
}

// Allowed lets the pod in with the injection, nil for as it is.
func (r *Review) Allowed(injection *podidentity.Injection) *admissionv1.AdmissionReview {
	a := &admissionv1.AdmissionResponse{Allowed: true}
	if injection != nil {
		patch, err := json.Marshal(injection.Patch(r.Pod))
		if err != nil {
			return r.Refused(err.Error())
		}
		a.Patch, a.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	}
	return r.answer(a)
}
