package bounds

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxPairs bounds how often an element of a strategic merge patch is compared with one
// of the object: the library looks for each in the whole list, at about a microsecond.
const maxPairs = 5_000_000

// fewMerged is how many elements of a patch are let pass without a look at the object.
const fewMerged = 100

// patchKey is the key of a patched in a context.
type patchKey struct{}

// patched is what Patchable must know of a patch.
type patched struct {
	apply  bool
	merged int
}

// WithPatch returns a context for Patchable with what a patch is like. Other bodies
// leave it as it is.
func WithPatch(ctx context.Context, mediaType string, body []byte) context.Context {
	var p patched
	switch {
	case strings.Contains(mediaType, "apply-patch"):
		p.apply = true
	case strings.Contains(mediaType, "strategic-merge-patch"):
		if t := countJSON(body, fewMerged, false); t != nil {
			p.merged = t.merged
		}
	}
	if p == (patched{}) {
		return ctx
	}
	return context.WithValue(ctx, patchKey{}, p)
}

// Patchable returns an error (400) when the patch of ctx and the object that it is for
// are so large that to merge them would take more than seconds. Other requests pass.
func Patchable(ctx context.Context, resource schema.GroupResource, obj runtime.Object) error {
	p, ok := ctx.Value(patchKey{}).(patched)
	switch {
	case !ok:
		return nil
	case p.apply && HasMapOver(obj, MaxApplied):
		return apierrors.NewBadRequest(tooManyToApply(resource.String()))
	case p.merged <= fewMerged:
		return nil
	}
	if p.merged*(p.merged+longestMerged(reflect.ValueOf(obj))) > maxPairs {
		return apierrors.NewBadRequest(fmt.Sprintf(
			"%s: a strategic merge patch with %d list elements is too large for lists as long as this object's: use another kind of patch, or an update", resource, p.merged))
	}
	return nil
}

// longestMerged is the length of the longest list in a value whose elements a strategic
// merge patch merges (patchStrategy "merge").
func longestMerged(v reflect.Value) int {
	longest := 0
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return longestMerged(v.Elem())
		}
	case reflect.Slice:
		if leaf(v.Type().Elem()) {
			return 0
		}
		for i := range v.Len() {
			longest = max(longest, longestMerged(v.Index(i)))
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return 0
		}
		for i := range v.NumField() {
			f := v.Field(i)
			if merged(v.Type().Field(i)) {
				longest = max(longest, f.Len())
			}
			if !leaf(f.Type()) {
				longest = max(longest, longestMerged(f))
			}
		}
	}
	return longest
}

func tooManyToApply(what string) string {
	return fmt.Sprintf("%s: server-side apply takes maps of at most %d entries: use another kind of patch, or an update", what, MaxApplied)
}
