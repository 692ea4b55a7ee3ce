package bounds

import (
	"bytes"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// The bounds, in elements. Objects that can be stored stay far below them: the store
// takes 1.5 MiB, and Kubernetes' own lists end at a thousand elements.
const (
	// MaxObjects is how many elements that are no plain values (objects, lists and
	// null, which may stand for one) a list may have; as many as Kubernetes takes
	// operations in a JSON patch.
	MaxObjects = 10_000
	// MaxAllObjects is the same for all lists of a body together.
	MaxAllObjects = 30_000
	// MaxValues is how many plain values all lists of a body may have together.
	MaxValues = 100_000
	// MaxEntries is how many entries a map may have. More do not fit into the store,
	// be their keys as short as can be.
	MaxEntries = 150_000
	// MaxApplied is how many entries a map may have in server-side apply, which works
	// them into each other in quadratic time.
	MaxApplied = 20_000
	// MaxDepth is how deep a body may be nested. Patches are merged in time that grows
	// with the square of it; no kind has more than thirty levels.
	MaxDepth = 1000
	// MaxMembers is the bound of lists in which every value is owned by somebody
	// (listType=set): they are kept in order.
	MaxMembers = 10_000
)

// sets are the lists of plain values whose elements have owners, by name.
var sets = []string{"finalizers", "podCIDRs", "values", "containers", "disableResizePreemption", "bindMountOptions"}

// Counter counts the elements of request bodies. It is safe for concurrent use.
type Counter struct{ shapes shapes }

// NewCounter returns a counter for bodies of the kinds that s knows by now.
func NewCounter(s *runtime.Scheme) *Counter { return &Counter{newShapes(s)} }

// Check returns an error (422, or 400 where no field is to blame) when a list or map in
// body has too many elements, and nil when body is no document of its media type: the
// decoder says so. kind is what the error
// calls the object where the body does not say. It takes time that grows with the body.
func (c *Counter) Check(mediaType string, kind schema.GroupKind, body []byte) error {
	if len(body) < MaxMembers {
		return nil // the shortest element is a byte
	}
	var t *tally
	switch {
	case strings.Contains(mediaType, "protobuf"):
		t = c.shapes.count(body)
	case strings.Contains(mediaType, "yaml"):
		t = countYAML(body)
	default:
		t = countJSON(body, MaxMembers, strings.Contains(mediaType, "json-patch"))
	}
	if t == nil {
		return nil
	}
	if t.fault != "" {
		return apierrors.NewBadRequest(t.fault)
	}
	if strings.Contains(mediaType, "apply-patch") && t.most > MaxApplied {
		return apierrors.NewBadRequest(tooManyToApply(kind.String()))
	}
	if err := t.excess(); err != nil {
		if t.kind != "" {
			kind.Kind = t.kind
		}
		return Invalid(kind, "", field.ErrorList{err})
	}
	return nil
}

// countYAML counts what aliases expand to: the parser bounds how often they may.
func countYAML(body []byte) *tally {
	if !json.Valid(body) { // most clients send JSON
		converted, err := yaml.YAMLToJSON(body)
		if err != nil {
			return nil
		}
		body = converted
	}
	return countJSON(body, MaxMembers, false)
}

// countJSON returns nil where there can be nothing to say: no list has as many as fewest
// elements, and nothing is deep.
func countJSON(body []byte, fewest int, patch bool) *tally {
	if bytes.Count(body, []byte{','}) < fewest && bytes.Count(body, []byte{'{'})+bytes.Count(body, []byte{'['}) < MaxDepth {
		return nil
	}
	s := scanner{body: body, tally: tally{patch: patch}}
	s.scan()
	return &s.tally
}

// tally is what has been counted in a body. The first list of each sort that has too
// many elements is kept.
type tally struct {
	kind            string
	patch           bool // a JSON patch: its lists are parts of unknown ones
	objects, values int
	merged          int          // elements that may be merged into lists of an object
	list            *field.Error // one list or map with too many
	largest         largest
	most            int    // entries in one map
	fault           string // what is wrong with the body as a whole
}

// largest is the list with the most elements.
type largest struct {
	path  *field.Path
	count int
}

// entries counts a map that has ended.
func (t *tally) entries(n int, path func() *field.Path) {
	t.most = max(t.most, n)
	if n > MaxEntries && t.list == nil {
		t.list = field.TooMany(path(), n, MaxEntries)
	}
}

// add counts a list that has ended. path is asked only where it is needed.
func (t *tally) add(objects, values int, name string, path func() *field.Path) {
	t.objects += objects
	t.values += values
	t.merged += objects
	if isSet(name) || strings.HasPrefix(name, "$") {
		t.merged += values
	}
	if n := objects + values; n > t.largest.count && n > 1000 {
		t.largest = largest{path(), n}
	}
	switch {
	case t.list != nil:
	case objects > MaxObjects:
		t.list = field.TooMany(path(), objects+values, MaxObjects)
	case values > MaxMembers && (t.patch || isSet(name)):
		t.list = field.TooMany(path(), objects+values, MaxMembers)
	}
}

func isSet(name string) bool {
	// A strategic merge patch names a list behind a directive and a slash.
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, s := range sets {
		if name == s {
			return true
		}
	}
	return false
}

// excess returns what is too much.
func (t *tally) excess() *field.Error {
	switch {
	case t.list != nil:
		return t.list
	case t.objects > MaxAllObjects:
		e := field.TooMany(t.largest.path, t.objects, MaxAllObjects)
		e.Detail += " in all lists of the object together"
		return e
	case t.values > MaxValues:
		e := field.TooMany(t.largest.path, t.values, MaxValues)
		e.Detail += " in all lists of the object together"
		return e
	case t.patch && t.values > MaxMembers:
		return field.TooMany(t.largest.path, t.values, MaxMembers)
	}
	return nil
}
