package publish

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/projection/atomicdir"
)

const (
	noteChecking = "an update is being checked"
	noteRejected = "an update was rejected by its check, which runs again when the content changes"
)

// trial is content that the gate looks at, or has looked at. The volume's mu guards
// over, stale and verdict.
type trial struct {
	picture *picture
	content sum
	rules   string // when it began
	over    bool
	// stale says that something else was wanted and published meanwhile.
	stale   bool
	verdict Verdict
}

// rejection is content that the gate refused, and by what rules.
type rejection struct {
	content sum
	rules   string
}

// guarded tells whether new content of v is to be checked. What shows nothing yet is
// not: nobody can have read it.
func (v *volume) guarded(spec *corev1.Pod) bool {
	return v.pub.cfg.Gate != nil && v.shown.generation != "" && v.pub.cfg.Gate.Guards(spec, v.source.Name)
}

// publishChecked publishes p's tokens, and its content once the gate has let it pass.
// The caller holds v.mu.
func (v *volume) publishChecked(p *picture, out *outcome) {
	if v.place.Empty() { // somebody took away what was to be kept
		v.endTrial()
		v.pub.swap(v, p, out)
		return
	}
	published, err := v.pub.shownContent(v)
	if err != nil {
		out.failed(diskError{err})
		return
	}
	wanted := p.content()
	if wanted == published {
		v.rejected = rejection{}
		v.endTrial()
		v.pub.swap(v, p, out)
		return
	}
	if t := v.trial; t != nil && t.over && !v.takeVerdict(t, wanted, p, out) {
		return
	}
	switch {
	case v.trial != nil:
		out.note = noteChecking
		v.pub.renewTokens(v, out)
	case v.rejected == rejection{wanted, rules(out.spec)}:
		out.note = noteRejected
		v.pub.renewTokens(v, out)
	default:
		v.pub.renewTokens(v, out)
		v.try(p, wanted, out)
	}
}

// takeVerdict does what the gate has decided and tells whether wanted is still to be
// decided about. What passed is published also when the content has changed since:
// otherwise a volume that changes faster than its check would never change at all. But
// it never takes the place of something newer.
func (v *volume) takeVerdict(t *trial, wanted sum, p *picture, out *outcome) (undecided bool) {
	if t.verdict.Reject {
		v.rejected = rejection{t.content, t.rules}
		v.endTrial()
		return true
	}
	if t.stale && t.content != wanted {
		v.endTrial()
		return true
	}
	accepted := p
	if t.content != wanted {
		older := *t.picture
		older.Tree, older.tokens = p.Renew(older.Tree, older.Credentials), p.tokens
		accepted = &older
	}
	if !v.pub.swap(v, accepted, out) {
		return false // the verdict stays until it is carried out
	}
	v.rejected = rejection{}
	v.endTrial()
	return t.content != wanted
}

// try writes p beside what is published and has the gate look at it, away from the
// workers.
func (v *volume) try(p *picture, content sum, out *outcome) {
	var dir string
	err := v.withRoom(out, func() (err error) {
		dir, err = v.content.Stage(p.Tree)
		return err
	})
	switch {
	case errors.Is(err, atomicdir.ErrPath):
		out.failed(err)
		return
	case errors.Is(err, syscall.ENOSPC) && v.content.Replaced() > 0:
		out.waits(noteReaders)
		out.later(atomicdir.Grace)
		return
	case err != nil:
		out.failed(diskError{err})
		return
	}
	if dir == v.shown.generation { // no reader could tell it from what is published
		v.pub.swap(v, p, out)
		return
	}
	t := &trial{picture: p, content: content, rules: rules(out.spec)}
	v.trial = t
	out.note = noteChecking
	ctx, spec := v.pod.ctx, out.spec
	candidate := Candidate{Volume: v.source.Name, Dir: dir, Confidential: confidential(v)}
	v.pub.checks.Go(func() {
		verdict := v.pub.cfg.Gate.Check(ctx, spec, candidate)
		if ctx.Err() != nil {
			return // a check that was ended says nothing
		}
		v.mu.Lock()
		t.over, t.verdict = true, verdict
		v.mu.Unlock()
		v.pub.queue.Add(v)
	})
}

// endTrial forgets a trial that is over and removes what was staged for it. One that
// still runs keeps its files, but is stale.
func (v *volume) endTrial() {
	if v.trial == nil {
		return
	}
	if !v.trial.over {
		v.trial.stale = true
		return
	}
	v.trial = nil
	if err := v.content.Unstage(); err != nil {
		v.pub.cfg.Log.Warn("removing what was checked", "volume", v.source.Name, "uid", v.pod.uid, "error", err)
	}
}

// rules are what a check follows: rejected content is checked again by other ones.
func rules(spec *corev1.Pod) string { return spec.Annotations[api.OnUpdate] }

// confidential tells whether v shows anything but ConfigMaps and the Downward API.
func confidential(v *volume) bool {
	for key := range v.kept {
		if key.Kind == objects.Secret {
			return true
		}
	}
	return len(v.tokenFiles) > 0
}

// ShrinkAfter is when what an update needed beside what it replaced is free again.
const ShrinkAfter = atomicdir.Grace + 100*time.Millisecond

// withRoom writes to v, and once more with more room when there was too little.
func (v *volume) withRoom(out *outcome, write func() error) error {
	err := write()
	if errors.Is(err, syscall.ENOSPC) && v.place.Grow() {
		out.later(ShrinkAfter)
		err = write()
	}
	if errors.Is(err, syscall.ENOSPC) && v.place.Grown() {
		err = fmt.Errorf("%w: running containers mount replaced files of it by subPath, which stay until they are started anew", err)
	}
	return err
}
