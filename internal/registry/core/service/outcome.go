package service

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// outcome is what is to be done once it is known whether an update is stored. The library
// says so before it stores.
type outcome struct {
	decide func(ctx context.Context, stored bool)
}

type outcomeKey struct{}

func withOutcome(ctx context.Context) (context.Context, *outcome) {
	o := &outcome{}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

// outcomeOf is that of a request, nil where it is known as soon as it is said, as of
// creations.
func outcomeOf(ctx context.Context) *outcome {
	o, _ := ctx.Value(outcomeKey{}).(*outcome)
	return o
}

// then has decide called when it is known.
func (o *outcome) then(ctx context.Context, decide func(context.Context, bool)) {
	if o == nil {
		decide(ctx, true)
		return
	}
	o.decide = decide
}

// is says what is known.
func (o *outcome) is(ctx context.Context, stored bool) {
	if o != nil && o.decide != nil {
		o.decide(ctx, stored)
		o.decide = nil
	}
}

// certain tells whether an error says that nothing was stored. What others leave taken is
// freed by Repair.
func certain(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}
