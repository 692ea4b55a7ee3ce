package query

import (
	"context"
	"net/http"
	"net/url"

	"laterna.dev/laterna/internal/aws/caller"
)

// Service is one API.
type Service struct {
	// Name is what signatures are scoped to and hosts begin with: "sts", "iam".
	Name string
	// Version and Namespace are those of the wire.
	Version, Namespace string
	// Actions are all there are, by name.
	Actions map[string]Action
	// Before is asked first, before the signature of a call is looked at; its error is the
	// answer. Optional.
	Before func(context.Context, *Call) error
	// Authenticate says who signed a call; it is asked for all actions but public ones.
	Authenticate func(context.Context, *Call) (*caller.Caller, error)
	// After is told of every call, and of the error that it is answered with. Optional.
	After func(context.Context, *Call, error)
}

// Action is one operation.
type Action struct {
	// Public needs no signature, and looks at none.
	Public bool
	// Run does what is asked for. The result is written as XML below <ActionResult>; nil
	// is no such element at all. An error that is no *Error is answered as the server's
	// own fault, without its text.
	Run func(context.Context, *Call) (result any, err error)
}

// Call is one request.
type Call struct {
	// ID is a UUID; the answer shows it.
	ID string
	// Service and Action are what is asked for.
	Service *Service
	Action  string
	// Form is what was sent, in the body and in the URL.
	Form url.Values
	// Body is the body as it came, HTTP the rest of the request; its own body is read.
	Body []byte
	HTTP *http.Request
	// Caller is who signed; nil in public actions.
	Caller *caller.Caller
	// Notes is whatever Before leaves for Run and After.
	Notes any
}

// Params reads the call's parameters.
func (c *Call) Params() *Params { return NewParams(c.Form) }
