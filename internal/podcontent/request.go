package podcontent

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// auto is the annotation's value for all that the pods read.
const auto = "auto"

// Limits of what one workload may name.
const (
	maxText    = 32 << 10
	MaxObjects = 128
)

// Kind of an object, as the annotations call it.
type Kind string

// The kinds whose content counts.
const (
	ConfigMap Kind = "configmap"
	Secret    Kind = "secret"
)

// Object names a ConfigMap or Secret of the workload's namespace.
type Object struct {
	Kind Kind
	Name string
}

// String is how the annotations name it.
func (o Object) String() string { return string(o.Kind) + "/" + o.Name }

func compare(a, b Object) int { return strings.Compare(a.String(), b.String()) }

// Request is what an annotation asks for.
type Request struct {
	Auto    bool
	Objects []Object // where it is not auto; sorted, each once
}

// ParseRequest reads the annotation laterna.dev/rollout-on-change. The error says what
// may stand there.
func ParseRequest(text string) (Request, error) {
	if strings.TrimSpace(text) == auto {
		return Request{Auto: true}, nil
	}
	if len(text) > maxText {
		return Request{}, fmt.Errorf("it has %d bytes, and may have %d", len(text), maxText)
	}
	var r Request
	for part := range strings.SplitSeq(text, ",") {
		kind, name, ok := strings.Cut(strings.TrimSpace(part), "/")
		if !ok || kind != string(ConfigMap) && kind != string(Secret) {
			return Request{}, fmt.Errorf("%q is neither configmap/NAME nor secret/NAME: write %s, or a list of these separated by commas", strings.TrimSpace(part), auto)
		}
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			return Request{}, fmt.Errorf("%q is no name of a %s: %s", name, kind, errs[0])
		}
		r.Objects = append(r.Objects, Object{Kind(kind), name})
	}
	slices.SortFunc(r.Objects, compare)
	r.Objects = slices.Compact(r.Objects)
	if len(r.Objects) > MaxObjects {
		return Request{}, tooMany(len(r.Objects))
	}
	return r, nil
}

func tooMany(n int) error {
	return fmt.Errorf("%d objects count, and at most %d may: name those that matter", n, MaxObjects)
}
