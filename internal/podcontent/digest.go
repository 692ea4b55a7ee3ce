package podcontent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// KeySize is the size of a key of digests in bytes.
	KeySize = 32
	// digestSize is how much of a SHA-256 is kept, in bytes: nobody who cannot write both
	// contents gains by two that collide, and a template stays readable.
	digestSize = 12
	// absent stands for an object that was not there.
	absent = "absent"
)

// Key keys digests, so that nobody can guess a short secret by its digest.
type Key [KeySize]byte

// String keeps the key out of logs.
func (Key) String() string { return "[redacted]" }

// GoString keeps it out of %#v.
func (k Key) GoString() string { return k.String() }

// Digest is the digest of what counts of an object; obj is nil where it is not there.
// Where and what it is called is part of it, so that nobody sees that two are equal.
func (k Key) Digest(namespace string, r Read, obj metav1.Object) (string, error) {
	data := map[string][]byte{}
	switch o := obj.(type) {
	case nil:
		return absent, nil
	case *corev1.Secret:
		data = o.Data
	case *corev1.ConfigMap:
		for name, text := range o.Data {
			data[name] = []byte(text)
		}
		maps.Copy(data, o.BinaryData)
	default:
		return "", fmt.Errorf("%s is a %T", r, obj)
	}
	mac := hmac.New(sha256.New, k[:])
	for _, part := range []string{string(r.Kind), namespace, r.Name} {
		add(mac, []byte(part))
	}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if r.Keys == nil || slices.Contains(r.Keys, name) {
			add(mac, []byte(name))
			add(mac, data[name])
		}
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:digestSize]), nil
}

// add hashes a part with its length before it, so that no two lists of parts are alike.
func add(h hash.Hash, part []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(part)))
	h.Write(size[:])
	h.Write(part)
}

// Digests are those of several objects.
type Digests map[Object]string

// String is the annotation laterna.dev/content-digests.
func (d Digests) String() string {
	var parts []string
	for o, digest := range d {
		parts = append(parts, o.String()+"="+digest)
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// ParseDigests reads the annotation. What cannot be read is left out: the server writes
// it anew.
func ParseDigests(text string) Digests {
	d := Digests{}
	if len(text) > maxText*2 {
		return d
	}
	for part := range strings.SplitSeq(text, ",") {
		name, digest, ok := strings.Cut(part, "=")
		kind, object, named := strings.Cut(name, "/")
		if ok && named {
			d[Object{Kind(kind), object}] = digest
		}
	}
	return d
}

// Since takes over what was known of objects that are not there: their pods go on with
// what they have read, and new ones could not start.
func (d Digests) Since(before Digests) {
	for o, digest := range d {
		if known, ok := before[o]; ok && digest == absent {
			d[o] = known
		}
	}
}

// Changed are the objects that have another digest in before, sorted.
func (d Digests) Changed(before Digests) (changed []Object) {
	for o, digest := range d {
		if known, ok := before[o]; ok && known != digest {
			changed = append(changed, o)
		}
	}
	slices.SortFunc(changed, compare)
	return changed
}
