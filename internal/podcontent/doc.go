// Package podcontent knows what ConfigMaps and Secrets the pods of a workload read, and
// tells their content by digests: for workloads with the annotation
// laterna.dev/rollout-on-change, which are rolled out anew when it has changed.
//
// Of the API it reads nothing but the key of the digests (keeper.go). When digests are written to a pod template is
// decided in internal/admission/rolloutonchange and internal/controller/rolloutonchange;
// what a pod spec refers to is known by internal/podfields.
package podcontent
