package publish

import (
	"errors"
	"fmt"
	"slices"

	"laterna.dev/laterna/projection/atomicdir"
)

// errUnknown says that an answer is on its way, which will mark the volume again.
var errUnknown = errors.New("not known yet")

// noteReaders is why an update waits that needs the place of what was replaced.
const noteReaders = "waiting for readers of replaced files"

// diskError is an error of the machine, of which no change of an object will tell
// when it is over.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

func (pub *Publisher) work() {
	for {
		v, shutdown := pub.queue.Get()
		if shutdown {
			return
		}
		pub.refresh(v)
		pub.queue.Done(v)
	}
}

// refresh brings a volume up to date: the only way by which files change. The queue
// gives a volume to one worker at a time.
func (pub *Publisher) refresh(v *volume) {
	out, open := pub.visit(v)
	if !open {
		return
	}
	for _, p := range out.published {
		pub.cfg.Published(out.spec, p)
	}
	pub.conclude(v, out)
	pub.tell(v)
}

// visit does what can be done for v now; open is false when nothing may be done any
// more.
func (pub *Publisher) visit(v *volume) (out *outcome, open bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, false
	}
	out = &outcome{spec: v.pod.spec.Load()}
	switch err := pub.open(v); {
	case err != nil:
		out.failed(err)
	case v.content == nil: // an emptyDir or hostPath
		out.usable = true
	default:
		pub.publish(v, out)
		pub.checkAccount(v, out)
	}
	v.fit(out)
	return out, true
}

// publish projects v and publishes of that what may be published. The caller holds
// v.mu.
func (pub *Publisher) publish(v *volume, out *outcome) {
	if !v.known() {
		out.waits("waiting for the API server's answer")
		return
	}
	p, err := pub.project(v, v.source)
	if err == nil {
		// Before anything is made of the content: it may be much larger than its sources.
		if full := v.pod.taken.reserve(v.source.Name, roomOf(p.Tree), allowanceOf(out.spec, pub.cfg.NodeAllocatable())); full != nil {
			err = diskError{full}
		}
	}
	switch {
	case errors.Is(err, errUnknown):
		out.waits("waiting for the API server's answer")
	case err != nil:
		pub.renewTokens(v, out)
		out.failed(err)
	case v.guarded(out.spec):
		v.publishChecked(p, out)
	default:
		v.endTrial()
		pub.swap(v, p, out)
	}
}

// swap publishes all of p and tells whether that is done.
func (pub *Publisher) swap(v *volume, p *picture, out *outcome) bool {
	now := shown{credentials: p.Credentials, versions: p.versions, tokens: p.tokens}
	follow := pub.follows(v)
	if follow {
		now.content, _ = pub.shownContent(v) // what cannot be read counts as changed
	}
	result, ok := pub.tryPublish(v, p.Tree, out)
	if !ok {
		return false
	}
	content := true
	if follow && result.Changed {
		before := now.content
		now.content = p.content()
		content = before != now.content
	}
	pub.show(v, result, now, content, out)
	out.usable = true
	return true
}

// follows tells whether changes of v's content are to be told from those of its
// tokens.
func (pub *Publisher) follows(v *volume) bool {
	return len(v.tokenFiles) > 0 && pub.cfg.Published != nil || v.guarded(v.pod.spec.Load())
}

// renewTokens publishes fresh tokens with the content that is published already,
// because newer content must not or cannot replace it. Tokens that cannot be had stay.
func (pub *Publisher) renewTokens(v *volume, out *outcome) {
	if v.shown.generation == "" {
		return
	}
	if len(v.tokenFiles) == 0 {
		out.usable = true
		return
	}
	// On their own: a file of the newer content may be in a token's place.
	fresh, _ := pub.project(v, v.onlyTokens)
	tree, err := v.content.Tree()
	if err != nil {
		out.failed(diskError{err})
		return
	}
	result, ok := pub.tryPublish(v, fresh.Renew(tree, v.credentials(tree)), out)
	if !ok {
		return
	}
	now := v.shown
	now.tokens = renewed(now.tokens, fresh.tokens)
	pub.show(v, result, now, false, out)
	out.usable = len(fresh.tokens) == len(v.tokenFiles)
}

// renewed is fresh, and of old what fresh has not.
func renewed(old, fresh []TokenStatus) []TokenStatus {
	all := slices.Clone(fresh)
	for _, t := range old {
		if !slices.ContainsFunc(fresh, func(f TokenStatus) bool { return f.Path == t.Path }) {
			all = append(all, t)
		}
	}
	return all
}

// tryPublish hands a tree to the volume's directory and tells whether it is published.
func (pub *Publisher) tryPublish(v *volume, tree atomicdir.Tree, out *outcome) (atomicdir.Result, bool) {
	var result atomicdir.Result
	err := v.withRoom(out, func() (err error) {
		result, err = v.content.TryPublish(tree)
		// A change is told with the publication that ends well.
		v.untold = v.untold || result.Changed
		return err
	})
	switch {
	case errors.Is(err, atomicdir.ErrPath):
		out.failed(err)
	case err != nil:
		out.failed(diskError{err})
	case result.RetryAfter > 0:
		out.waits(noteReaders)
		out.later(result.RetryAfter)
	default:
		result.Changed, v.untold = v.untold, false
		if len(result.Covered) > 0 {
			out.failed(fmt.Errorf("%q cannot be seen: a mount point is in its place, made for a subPath that was missing or for another volume; make the pod anew, or mount elsewhere", result.Covered))
		}
		return result, true
	}
	return result, false
}
