// Package backends owns whom the API server dials for somebody else: which endpoints of a
// service are ready, and which addresses it connects to.
//
// What addresses a pod or an endpoint has is recorded by those who run them. Whoever may
// write such a record must not thereby make the server talk to itself, or to what trusts
// it: so an address is checked when it is chosen, and again when it is dialled, behind
// any name that is looked up.
//
// Webhooks that are behind a service live in internal/admission/webhook, the proxy
// subresources in internal/registry/core/proxy. Kubelets are dialled by
// internal/registry/core/pod, which knows them by their certificates.
package backends
