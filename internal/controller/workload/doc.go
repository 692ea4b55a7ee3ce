// Package workload is what the controllers of pods share: which objects are a parent's
// (claim.go, index.go), pods made from its template and deleted for it (pods.go), many of them at a
// time (slowstart.go), what it wrote itself and has yet to see (written.go), and how pods
// count (counting.go).
//
// What a Deployment, a Job or a set of another kind decides lives in the package of its
// controller; the loop that all controllers run in is internal/controller/run.
package workload
