package node

import (
	"time"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// updates is what the rules of a pod need of its worker and ask of it. The worker's mu
// guards it.
type updates struct {
	// unseen says that the pod was taken over and the runtime not looked at since.
	unseen bool
	// starting are containers whose mounts are made and that do not run yet.
	starting map[string]bool
	// settles is when a container that was restarted after a crash has run for as long
	// as it would have to wait if it crashed again, on the agent's clock.
	settles map[string]time.Time
	// replace has, by container, the one that is to be stopped and started again.
	replace map[string]replacement
}

type replacement struct {
	id, message string
	done        chan struct{} // closed when the next one runs
}

func newUpdatesOf(restarting map[string]string, unseen bool) updates {
	u := updates{unseen: unseen, starting: map[string]bool{}, settles: map[string]time.Time{}, replace: map[string]replacement{}}
	for name, id := range restarting {
		u.replace[name] = replacement{id, "Container " + name + " will be restarted: a volume was updated", make(chan struct{})}
	}
	return u
}

// replace asks for a container to be replaced. done is closed when another one runs.
func (w *worker) replace(r onupdate.Restart) (done <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if attempts := status.Attempts(w.view, r.Container); len(attempts) == 0 || attempts[0].ID != r.ID {
		already := make(chan struct{})
		close(already)
		return already
	}
	asked := replacement{r.ID, r.Message, make(chan struct{})}
	if before, ok := w.updates.replace[r.Container]; ok && before.id == r.ID {
		asked.done = before.done
	}
	w.updates.replace[r.Container] = asked
	return asked.done
}

// replaced tells whether a container is to be replaced, and why.
func (w *worker) replaced(c cri.Container) (message string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked, ok := w.updates.replace[c.Name]
	return asked.message, ok && asked.id == c.ID
}

// asked is what is to be replaced now.
func (w *worker) asked() lifecycle.Replace {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := lifecycle.Replace{}
	for name, r := range w.updates.replace {
		out[name] = r.id
	}
	return out
}

// stopping is the message of the Event about a container that must not go on.
func (w *worker) stopping(c cri.Container) string {
	if message, ok := w.replaced(c); ok {
		return message
	}
	return "Container " + c.Name + " definition changed, will be restarted"
}

// starting notes that a container's mounts are about to be made. Until done is called
// nobody can say whether it has seen an update.
func (w *worker) starting(name string) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updates.starting[name] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.updates.starting, name)
	}
}

// runs notes that a container was started.
func (w *worker) runs(c cri.Container, crashed time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.updates.settles, c.Name)
	if asked, ok := w.updates.replace[c.Name]; ok {
		delete(w.updates.replace, c.Name)
		close(asked.done)
		return
	}
	if c.Attempt > 0 {
		w.updates.settles[c.Name] = w.now().Add(crashed)
	}
}
