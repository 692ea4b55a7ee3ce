// Package apiservice owns the APIService kind of apiregistration.k8s.io/v1: one object for
// each group-version that the server serves, among them those of custom resources, as the
// autoregistration of Kubernetes makes them. Objects are computed from what discovery lists
// (book.go) and stored nowhere.
//
// API servers of others are not served: nobody leads requests to them, so an object that
// names one is refused with what to do instead (storage.go). What comes first where clients
// are given a name alone is said here, too (priority.go), and listed by internal/apiserver.
package apiservice
