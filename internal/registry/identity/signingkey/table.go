package signingkey

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/tokens/keys"
)

// none is the cell of what there is none of, as in kubectl's own tables.
const none = "<none>"

func columns(now clock.API) resource.Columns[*object] {
	return resource.Columns[*object]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Type", Type: "string", Description: "The kind of key with its size."},
			{Name: "Alg", Type: "string", Description: "The algorithm of signatures."},
			{Name: "State", Type: "string", Description: "Upcoming, Signing or Retired."},
			{Name: "Signs From", Type: "string", Description: "When the key signs, or began to."},
			{Name: "Expires", Type: "string", Description: "When the last token that the key signed has ended, at the latest."},
			resource.AgeColumn(),
			{Name: "Retired", Type: "string", Priority: 1, Description: "When the key ceased to sign."},
			{Name: "Key ID", Type: "string", Priority: 1, Description: "The header kid of tokens that the key signed."},
		},
		Row: func(k *object) []any { return row(k, now.Now()) },
	}
}

func row(k *object, now time.Time) []any {
	s := &k.Status
	return []any{
		k.Name, string(k.Spec.Type), s.Algorithm, string(s.State), from(s.SignsFrom, now), from(s.Expires, now),
		duration.HumanDuration(max(now.Sub(k.CreationTimestamp.Time), 0)), from(s.Retired, now), s.KeyID,
	}
}

// from says how far a time is from now.
func from(t *metav1.Time, now time.Time) string {
	switch {
	case t == nil:
		return none
	case t.Time.Equal(keys.Never):
		return "never"
	case t.After(now):
		return "in " + duration.HumanDuration(t.Sub(now))
	}
	return duration.HumanDuration(now.Sub(t.Time)) + " ago"
}
