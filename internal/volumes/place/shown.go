package place

import (
	"path"
	"time"

	"laterna.dev/laterna/projection/atomicdir"
)

// shown is what a volume's directory holds, as far as it is known. What the zero
// value leaves out is not known: after a start of the agent that is all but
// generation and at.
type shown struct {
	generation string // empty when nothing was ever published
	at         time.Time
	digest     []byte
	// content is the sum of what is not a credential, kept only where it is needed.
	content     sum
	credentials map[string]bool
	versions    []string // of the volume's sources, in their order
	tokens      []TokenStatus
}

// show records a publication, and that it is to be told if files changed. The caller
// holds v.mu.
func (m *Manager) show(v *volume, result atomicdir.Result, now shown, content bool, out *outcome) {
	first := v.shown.generation == ""
	now.generation, now.at, now.digest = result.Generation, v.shown.at, v.shown.digest
	if result.Changed {
		now.at, now.digest = m.cfg.Wall.Now(), nil
		m.cfg.Log.Debug("published a volume", "volume", v.dir, "generation", result.Generation)
		if m.cfg.Published != nil {
			out.published = append(out.published, Publication{v.source.Name, result.Generation, first, content})
		}
	}
	if now.digest == nil {
		if _, digest, err := v.content.Digest(); err == nil {
			now.digest = digest[:]
		}
	}
	v.setShown(now)
}

func (v *volume) setShown(now shown) {
	v.state.Lock()
	defer v.state.Unlock()
	v.shown, v.unseen = now, false
}

// found is what an earlier process left in v's directory.
func (m *Manager) found(v *volume) shown {
	name, digest, err := v.content.Digest()
	if err != nil || name == "" {
		return shown{}
	}
	return shown{generation: name, at: m.written(path.Join(v.dir, name)), digest: digest[:]}
}

// written is when the last file of a generation was made, zero when that cannot be
// seen.
func (m *Manager) written(generation string) time.Time {
	dir, err := m.root.Sub(generation)
	if err != nil {
		return time.Time{}
	}
	defer dir.Close()
	st, err := dir.Stat()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Unix())
}

// credentials are the paths of v at which tokens are published; where that is not
// known, all at which tokens may be.
func (v *volume) credentials() map[string]bool {
	if v.shown.credentials != nil {
		return v.shown.credentials
	}
	all := map[string]bool{}
	for _, t := range v.tokenFiles {
		all[path.Clean(t.path)] = true
	}
	return all
}

// shownContent is the sum of the content that is published, read back where it is not
// known.
func (m *Manager) shownContent(v *volume) (sum, error) {
	if v.shown.content != (sum{}) {
		return v.shown.content, nil
	}
	tree, err := v.content.Tree()
	if err != nil {
		return sum{}, err
	}
	now := v.shown
	now.content = sumBeside(tree, v.credentials())
	v.setShown(now)
	return now.content, nil
}
