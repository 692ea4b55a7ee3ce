package publish

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/tokencache"
	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

// picture is what a volume is to show, and what that was made from.
type picture struct {
	projection.Built
	// versions are those of the volume's sources, in their order.
	versions []string
	tokens   []TokenStatus
	sum      sum // of the content, once it was asked for
}

// project makes a picture of v, or of a part of it, from what is known now. Beside an
// error the picture has the tokens that are there.
func (pub *Publisher) project(v *volume, what *corev1.Volume) (*picture, error) {
	r := pub.newReading(v)
	built, err := projection.Build(r.spec, what, r.sources())
	return r.picture(built), err
}

// reading gives one projection its sources and remembers what it took.
type reading struct {
	pub      *Publisher
	v        *volume
	spec     *corev1.Pod
	pod      string // version
	versions map[objects.Key]string
	tokens   map[projection.TokenRef]tokencache.Token
}

func (pub *Publisher) newReading(v *volume) *reading {
	// The version first: what is shown must never be older than it says.
	version := *v.pod.version.Load()
	return &reading{
		pub: pub, v: v, pod: version, spec: v.pod.spec.Load(),
		versions: map[objects.Key]string{}, tokens: map[projection.TokenRef]tokencache.Token{},
	}
}

func (r *reading) sources() projection.Sources {
	return projection.Sources{
		Secret: func(name string) (*corev1.Secret, error) {
			return peek[*corev1.Secret](r, objects.Key{Kind: objects.Secret, Namespace: r.spec.Namespace, Name: name})
		},
		ConfigMap: func(name string) (*corev1.ConfigMap, error) {
			return peek[*corev1.ConfigMap](r, objects.Key{Kind: objects.ConfigMap, Namespace: r.spec.Namespace, Name: name})
		},
		Token: func(ref projection.TokenRef) ([]byte, error) {
			token, err := r.v.token(r.v.request(r.spec, ref))
			if err != nil {
				return nil, err
			}
			r.tokens[ref] = token
			return token.Bytes(), nil
		},
		Allocatable: r.pub.cfg.NodeAllocatable(),
	}
}

func peek[T metav1.Object](r *reading, key objects.Key) (none T, err error) {
	object, err, known := r.v.kept[key].Peek()
	switch {
	case !known:
		return none, errUnknown
	case err != nil:
		return none, err
	}
	r.versions[key] = object.GetResourceVersion()
	return object.(T), nil
}

// picture returns the picture of what was made from what was read.
func (r *reading) picture(built projection.Built) *picture {
	p := &picture{Built: built}
	for _, s := range r.v.sources {
		version := r.pod
		if s.kind != kindPod {
			version = r.versions[s.key]
		}
		p.versions = append(p.versions, version)
	}
	for _, t := range r.v.tokenFiles {
		if token, ok := r.tokens[t.ref]; ok {
			p.tokens = append(p.tokens, TokenStatus{Path: t.path, Audience: t.ref.Audience, Issued: token.Issued, Expires: token.Expires, Rotates: token.Refresh, serial: token.Serial()})
		}
	}
	return p
}

// onlyTokens is the part of v that shows tokens.
func onlyTokens(v *corev1.Volume) *corev1.Volume {
	if v.Projected == nil {
		return nil
	}
	part, projected := *v, *v.Projected
	projected.Sources = slices.DeleteFunc(slices.Clone(projected.Sources), func(s corev1.VolumeProjection) bool {
		return s.ServiceAccountToken == nil
	})
	part.Projected = &projected
	return &part
}

// tokenFile is a token that a volume asks for.
type tokenFile struct {
	path string
	ref  projection.TokenRef
}

func tokenFilesOf(v *corev1.Volume) (all []tokenFile) {
	for _, part := range split(v) {
		for _, ref := range projection.Tokens(&part) {
			all = append(all, tokenFile{part.Projected.Sources[0].ServiceAccountToken.Path, ref})
		}
	}
	return all
}

// sum is the SHA-256 of some files; zero is none.
type sum [sha256.Size]byte

// content is the sum of what the picture shows beside credentials.
func (p *picture) content() sum {
	if p.sum == (sum{}) {
		p.sum = sumBeside(p.Tree, p.Credentials)
	}
	return p.sum
}

// sumBeside covers paths, bytes, modes and owners of those files of a tree that are
// not among the credentials. It is the same for a tree and what is read back of it.
func sumBeside(tree atomicdir.Tree, credentials map[string]bool) (s sum) {
	files := slices.Clone(tree.Files)
	slices.SortFunc(files, func(a, b atomicdir.File) int { return strings.Compare(a.Path, b.Path) })
	h := sha256.New()
	number := func(n int64) { h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	owner := func(id *int64, otherwise int) {
		if id == nil {
			number(int64(otherwise))
			return
		}
		number(*id)
	}
	for _, f := range files {
		if credentials[f.Path] {
			continue
		}
		number(int64(len(f.Path)))
		h.Write([]byte(f.Path))
		number(int64(len(f.Data)))
		h.Write(f.Data)
		number(int64(f.Mode.Perm()))
		owner(f.UID, os.Geteuid())
		owner(f.GID, os.Getegid())
	}
	h.Sum(s[:0])
	return s
}
