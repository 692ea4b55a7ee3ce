package publish

import (
	"path"
	"slices"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/projection"
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
func (pub *Publisher) show(v *volume, result atomicdir.Result, now shown, content bool, out *outcome) {
	first := v.shown.generation == ""
	now.generation, now.at, now.digest = result.Generation, v.shown.at, v.shown.digest
	if result.Changed {
		now.at, now.digest = pub.cfg.Wall.Now(), nil
		pub.cfg.Log.Debug("published a volume", "volume", v.source.Name, "uid", v.pod.uid, "generation", result.Generation)
		if pub.cfg.Published != nil {
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
func (v *volume) found() shown {
	name, digest, err := v.content.Digest()
	if err != nil || name == "" {
		return shown{}
	}
	return shown{generation: name, at: v.place.Written(name), digest: digest[:]}
}

// credentials are the paths of the published tree at which tokens are. Where that is
// not known any more it is looked up in the files: a later source may have taken a
// token's path, or may not.
func (v *volume) credentials(published atomicdir.Tree) map[string]bool {
	if v.shown.credentials != nil {
		return v.shown.credentials
	}
	all := projection.CredentialPaths(v.source)
	for _, t := range v.tokenFiles {
		at := path.Clean(t.path)
		if i := slices.IndexFunc(published.Files, func(f atomicdir.File) bool { return f.Path == at }); i >= 0 && v.bound(published.Files[i].Data) {
			all[at] = true
		}
	}
	return all
}

// bound tells whether data is a token that says it is the pod's.
func (v *volume) bound(data []byte) bool {
	token, err := boundtoken.Parse(string(data))
	if err != nil {
		return false
	}
	pod := token.UnverifiedClaims().Kubernetes.Pod
	return pod != nil && pod.UID == string(v.pod.uid)
}

// shownContent is the sum of the content that is published, read back where it is not
// known.
func (pub *Publisher) shownContent(v *volume) (sum, error) {
	if v.shown.content != (sum{}) {
		return v.shown.content, nil
	}
	tree, err := v.content.Tree()
	if err != nil {
		return sum{}, err
	}
	now := v.shown
	now.content = sumBeside(tree, v.credentials(tree))
	v.setShown(now)
	return now.content, nil
}
