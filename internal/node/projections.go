package node

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/volumes/podprojection"
	"laterna.dev/laterna/internal/volumes/publish"
)

// openProjections makes what reports to the API what pods have loaded. Without a client
// of its own nothing is reported.
func (a *Agent) openProjections(ctx context.Context, snapshot func(types.UID) []publish.Status) error {
	if a.cfg.Projections == nil {
		return nil
	}
	key, err := podprojection.OpenKey(a.cfg.Root)
	if err != nil {
		return fmt.Errorf("opening pod projections: %w", err)
	}
	a.projections = podprojection.New(ctx, podprojection.Config{
		Client: a.cfg.Projections, NodeName: a.cfg.NodeName, Key: key, Snapshot: snapshot, Outcomes: a.outcomes,
		Wall: a.cfg.Wall, Log: a.cfg.Log,
	})
	return nil
}

// outcomes are how the rules of a pod ended, in the words of PodProjections.
func (a *Agent) outcomes(uid types.UID) (all []podprojection.Outcome) {
	for _, o := range a.updates.Outcomes(uid) {
		all = append(all, podprojection.Outcome{
			Volume: o.Volume, Check: o.Check, Container: o.Container, Action: o.Action, Result: v1alpha1.Result(o.Result),
			Time: o.Time, Generation: o.Generation, Message: o.Message,
		})
	}
	return all
}
