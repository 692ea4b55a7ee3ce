package authentication

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer/status"
)

// Room tells whether one more issuer would be taken. The zero value takes all.
type Room struct {
	// Server reads what is accepted now, from the store.
	Server func(context.Context) (*operatorv1.KubeAPIServer, error)
	// First is the issuer while none is asked for.
	First string
	// Overlap is how long a former issuer is trusted.
	Overlap time.Duration
	// Clock is the time that tokens live by.
	Clock clock.API
}

// check refuses an issuer that internal/controller/tokenissuer would not take: the write
// is the place where somebody reads the answer.
func (r Room) check(ctx context.Context, at *field.Path, want string) *field.Error {
	if r.Server == nil {
		return nil
	}
	if want == "" {
		want = r.First
	}
	server, err := r.Server(ctx)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return field.InternalError(at, fmt.Errorf("reading which issuers are accepted: %w", err))
	}
	_, err = status.Next(&server.Status, want, r.Overlap, r.Clock.Now())
	many := (*status.TooManyError)(nil)
	if !errors.As(err, &many) {
		return nil
	}
	text := fmt.Sprintf("%d issuers are accepted already, which is the most at a time: ", status.MaxIssuers)
	if many.Ends == "" {
		text += "none of them ends by itself"
	} else {
		text += fmt.Sprintf("%q can be set once %q has ended, at %s", want, many.Ends, many.RoomAt.UTC().Format(time.RFC3339))
	}
	return field.Forbidden(at, text+"; one that is accepted now can be set at any time (laterna issuer show lists them)")
}
