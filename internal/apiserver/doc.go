// Package apiserver serves the Kubernetes API: it joins the store, the storages of
// all kinds, authentication, authorization and admission into one HTTP server.
//
// It owns serving (TLS, listeners, the in-memory loopback), the paths outside the API
// groups (routes.go), the layout and encryption of objects in the store, OpenAPI and
// discovery, readiness, and the objects that the server itself keeps (system namespaces,
// the kubernetes service). Which kinds there are and what they mean lives in
// internal/registry, who may do what in internal/authz and internal/admission, who is
// who in internal/tokens/review.
package apiserver
