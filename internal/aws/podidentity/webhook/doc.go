// Package webhook serves the pod identity webhook for other clusters: AdmissionReviews over
// TLS, answered as the Amazon EKS Pod Identity Webhook answers them, with its paths, metrics
// and debug handlers.
//
// It owns the listeners, how a review is read and answered, and what is known of service
// accounts and the ConfigMap: each review reads them from the API, so that a pod that comes
// right after an annotation has its role, and what was seen by a watch serves only while the
// API does not answer. What pods are given is internal/aws/podidentity's, the manifests that
// set all this up are internal/aws/podidentity/manifests'.
package webhook
