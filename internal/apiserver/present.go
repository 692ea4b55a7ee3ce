package apiserver

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/etcd/presence"
)

// awaited are the resources with whose first object something begins.
func awaited() []schema.GroupResource {
	return []schema.GroupResource{
		corev1.Resource("limitranges"),
		corev1.Resource("resourcequotas"),
		admissionregistrationv1.Resource("mutatingadmissionpolicybindings"),
		admissionregistrationv1.Resource("validatingadmissionpolicies"),
		admissionregistrationv1.Resource("validatingadmissionpolicybindings"),
		certificatesv1.Resource("certificatesigningrequests"),
	}
}

func newPresence() *presence.Presence {
	var prefixes []string
	for _, r := range awaited() {
		prefixes = append(prefixes, prefixOf(r))
	}
	return presence.New(prefixes...)
}

// prefixOf is where the storages keep the objects of a resource.
func prefixOf(r schema.GroupResource) string { return objectPrefix + "/" + r.Resource + "/" }

// Stored returns what is closed once the store has an object of a resource, be it stored by
// another server, and at once for resources with which nothing waits. It may be called at any
// time.
func (s *Server) Stored(r schema.GroupResource) <-chan struct{} { return s.presence.First(prefixOf(r)) }
