// Package env is what every controller gets: its client, the caches that all share,
// the time, a log and what is counted of it.
//
// It holds these things and does nothing with them; the loop that every controller
// runs in is internal/controller/run, the queue below it internal/controller/queue.
// internal/controller/manager fills it, one for each controller.
package env

import (
	"log/slog"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
)

// Env is what a controller is given. All fields are required but Metrics. What only
// some controllers need, such as the clock that tokens live by, stands in their own
// Config.
type Env struct {
	// Name is the controller's in logs and metrics, and that of its service account.
	Name string
	// Client acts as the controller itself, with the rights of its role.
	Client kubernetes.Interface
	// Informers fill the caches that controllers share. They read as an identity of
	// their own, so what they hold is not bounded by the controller's rights: take
	// from it only kinds that the role of the shared caches lists
	// (internal/registry/rbac/bootstrap).
	Informers informers.SharedInformerFactory
	// Wall is real time, which no test clock moves: retries, heartbeats and
	// timestamps of objects go by it.
	Wall clock.Wall
	Log  *slog.Logger
	// Metrics counts what the controller does. Optional.
	Metrics *Metrics
}

// ServiceAccount returns the user name of a controller, which is a service account of
// kube-system.
func ServiceAccount(controller string) string {
	return "system:serviceaccount:kube-system:" + controller
}
