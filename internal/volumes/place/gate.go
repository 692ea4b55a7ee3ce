package place

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
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
func (m *Manager) guarded(v *volume, spec *corev1.Pod) bool {
	return m.cfg.Gate != nil && v.shown.generation != "" && m.cfg.Gate.Guards(spec, v.source.Name)
}

// publishChecked publishes p's tokens, and its content once the gate has let it pass.
// The caller holds v.mu.
func (m *Manager) publishChecked(v *volume, p *picture, out *outcome) {
	if m.gone(v) { // somebody took away what was to be kept
		m.endTrial(v)
		m.swap(v, p, out)
		return
	}
	published, err := m.shownContent(v)
	if err != nil {
		out.failed(diskError{err})
		return
	}
	wanted := p.content()
	if wanted == published {
		v.rejected = rejection{}
		m.endTrial(v)
		m.swap(v, p, out)
		return
	}
	if t := v.trial; t != nil && t.over && !m.takeVerdict(v, t, wanted, p, out) {
		return
	}
	switch {
	case v.trial != nil:
		out.note = noteChecking
		m.renewTokens(v, out)
	case v.rejected == rejection{wanted, rules(out.spec)}:
		out.note = noteRejected
		m.renewTokens(v, out)
	default:
		m.renewTokens(v, out)
		m.try(v, p, wanted, out)
	}
}

// gone tells whether nothing is published in v any more.
func (m *Manager) gone(v *volume) bool {
	dir, err := m.root.Lookup(path.Join(v.dir, "..data"))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	dir.Close()
	return false
}

// takeVerdict does what the gate has decided and tells whether wanted is still to be
// decided about. What passed is published also when the content has changed since:
// otherwise a volume that changes faster than its check would never change at all. But
// it never takes the place of something newer.
func (m *Manager) takeVerdict(v *volume, t *trial, wanted sum, p *picture, out *outcome) (undecided bool) {
	if t.verdict.Reject {
		v.rejected = rejection{t.content, t.rules}
		m.endTrial(v)
		return true
	}
	if t.stale && t.content != wanted {
		m.endTrial(v)
		return true
	}
	accepted := p
	if t.content != wanted {
		older := *t.picture
		older.Tree, older.tokens = p.Renew(older.Tree, older.Credentials), p.tokens
		accepted = &older
	}
	if !m.swap(v, accepted, out) {
		return false // the verdict stays until it is carried out
	}
	v.rejected = rejection{}
	m.endTrial(v)
	return t.content != wanted
}

// try writes p beside what is published and has the gate look at it, away from the
// workers.
func (m *Manager) try(v *volume, p *picture, content sum, out *outcome) {
	var dir string
	err := m.withRoom(v, out, func() (err error) {
		dir, err = v.content.Stage(p.Tree)
		return err
	})
	switch {
	case errors.Is(err, atomicdir.ErrPath):
		out.failed(err)
		return
	case errors.Is(err, unix.ENOSPC) && v.content.Replaced() > 0:
		out.waits(noteReaders)
		out.later(atomicdir.Grace)
		return
	case err != nil:
		out.failed(diskError{err})
		return
	}
	if dir == v.shown.generation { // no reader could tell it from what is published
		m.swap(v, p, out)
		return
	}
	t := &trial{picture: p, content: content, rules: rules(out.spec)}
	v.trial = t
	out.note = noteChecking
	ctx, spec := v.pod.ctx, out.spec
	candidate := Candidate{Volume: v.source.Name, Dir: dir, Confidential: confidential(v)}
	m.checks.Go(func() {
		verdict := m.cfg.Gate.Check(ctx, spec, candidate)
		if ctx.Err() != nil {
			return // a check that was ended says nothing
		}
		v.mu.Lock()
		t.over, t.verdict = true, verdict
		v.mu.Unlock()
		m.queue.Add(v)
	})
}

// endTrial forgets a trial that is over and removes what was staged for it. One that
// still runs keeps its files, but is stale.
func (m *Manager) endTrial(v *volume) {
	if v.trial == nil {
		return
	}
	if !v.trial.over {
		v.trial.stale = true
		return
	}
	v.trial = nil
	if err := v.content.Unstage(); err != nil {
		m.cfg.Log.Warn("removing what was checked", "volume", v.dir, "error", err)
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
