package publish

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Gate decides whether new content of a volume is published. Content is what comes
// from Secrets, ConfigMaps and the Downward API; tokens pass no gate.
type Gate interface {
	// Guards tells whether changes of the volume's content are to be checked. It is
	// asked at every change and must not wait.
	Guards(pod *corev1.Pod, volume string) bool
	// Check looks at content that is written and not yet published. It is called away
	// from the workers, one call at a time for a volume, and ends with ctx: the pod is
	// being torn down. It records its own Events.
	Check(ctx context.Context, pod *corev1.Pod, c Candidate) Verdict
}

// Candidate is content that waits for a Gate.
type Candidate struct {
	// Volume is the volume's name.
	Volume string
	// Dir is the name of the directory, inside the volume, that holds all of the
	// volume's files as they would be published.
	Dir string
	// Confidential says that the volume shows Secrets or tokens, so that what a check
	// prints about it must not be shown to anybody.
	Confidential bool
}

// Verdict is a Gate's decision.
type Verdict struct {
	// Reject keeps what is published; the content is tried again when it next changes.
	Reject bool
}

// Publication is a change of a volume's files.
type Publication struct {
	Volume string
	// Generation is the name of the directory that ..data leads to now.
	Generation string
	// First says that the volume showed nothing before, so that no container of the
	// pod can have read it.
	First bool
	// Content says that more than tokens changed.
	Content bool
}

// Status is what a volume of API content shows now.
type Status struct {
	// Name of the volume.
	Name string
	// Sources are the objects that it shows, in the order of the volume's sources; the
	// pod itself is one when the volume has a Downward API source.
	Sources []SourceStatus
	// Tokens are those that it shows.
	Tokens []TokenStatus
	// Digest is the SHA-256 of the published tree (paths, bytes, modes, owners); nil
	// before the first publication. It must not leave the agent without a key.
	Digest []byte
	// Published is when ..data last changed, in real time; zero when that is not known.
	Published time.Time
	// Generation is the name of the directory that ..data leads to.
	Generation string
	// Problem says why the volume is not up to date; empty when it is. It names
	// objects, keys and paths, and holds nothing of their values.
	Problem string
	// Rejected says that the Problem is the Gate's rejection of the newest content.
	Rejected bool
}

// SourceStatus is one object of a volume.
type SourceStatus struct {
	// Kind is Secret, ConfigMap or Pod.
	Kind, Name string
	// Observed is the object's newest resourceVersion that the agent knows, empty when
	// the object is not there; Published is the one that the files show.
	Observed, Published string
}

// TokenStatus is one token of a volume.
type TokenStatus struct {
	// Path of the file in the volume.
	Path string
	// Audience as the volume asks for it; empty means the API server's.
	Audience string
	// Issued and Expires are the token's beginning and end, Rotates is when the agent
	// replaces it.
	Issued, Expires, Rotates time.Time

	serial uint64 // the token's, in the cache
}
