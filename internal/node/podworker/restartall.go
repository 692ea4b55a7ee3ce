package podworker

import (
	"time"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// restartAll removes all containers of a pod, since one of them ended in a way that its
// rule has all started again; sandbox and volumes stay. That it is under way is told the
// API before the first one goes: whoever takes the pod over then does not take what ran
// before for initialized. It returns the pause before it must be called again.
func (w *Worker) restartAll(s *step, p lifecycle.Plan) time.Duration {
	due, pause := w.due([]lifecycle.Start{*p.Trigger})
	if len(due) == 0 {
		return pause
	}
	w.reporter.restarting = true
	w.reporter.report(s.pod, false)
	w.reporter.writer.Flush(s.wait)
	if s.wait.Err() != nil {
		return again
	}
	state := w.container(p.Trigger.Spec.Name)
	for _, c := range p.Reset {
		if c.State == cri.ContainerRunning || c.State == cri.ContainerUnknown {
			if err := w.deps.Runtime.StopContainer(s.wait, c.ID, 0); err != nil {
				w.board.markDirty()
				return again
			}
		}
		if ended, dead := w.rt().Ended[c.ID]; dead && c.Name == p.Trigger.Spec.Name && c.ID == p.Reset[len(p.Reset)-1].ID {
			state.Restart.Next(ended, w.now())
		}
		if err := w.ender.removeContainer(s.ctx, c); err != nil {
			w.log("container not removed to be restarted", "error", err)
			return again
		}
	}
	w.reporter.restarting = false
	for _, c := range p.Reset {
		w.container(c.Name).waiting = nil
	}
	w.board.signal() // to start them
	return 0
}
