// Package projection turns a pod's volume and the objects it refers to into the tree
// of files that the volume shows: secret, configMap, downwardAPI, and projected
// volumes of secret, configMap, downwardAPI and serviceAccountToken sources.
//
// It owns which files there are, their bytes, modes and owners, and the values of
// the Downward API, for volumes and for environment variables alike. It is pure: no
// input but its arguments, no effect. Writing the tree into a directory lives in
// package projection/atomicdir; fetching objects and tokens and mounting volumes is
// the caller's.
//
// Behaviour and the texts of errors are those of Kubernetes 1.37.
package projection
