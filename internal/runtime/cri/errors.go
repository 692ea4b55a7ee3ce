package cri

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrNotFound is wrapped by errors about a sandbox, container or image that the
// runtime does not know.
var ErrNotFound = errors.New("not found")

// ErrNotOffered is wrapped by errors about a call that the runtime does not implement.
var ErrNotOffered = errors.New("not offered by this container runtime")

// Error is a refusal by the runtime.
type Error struct {
	// Op is what was tried.
	Op string
	// Code is the gRPC code's name, Message the runtime's own text.
	Code    string
	Message string

	kind error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Message) }

// Unwrap makes errors.Is(err, ErrNotFound) and the like work.
func (e *Error) Unwrap() error { return e.kind }

// Message is the runtime's own text of an error, or the error's text where the
// runtime gave none. Events and container statuses carry it.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func callError(op string, err error) error {
	s := status.Convert(err)
	e := &Error{Op: op, Code: s.Code().String(), Message: s.Message(), kind: err}
	switch s.Code() {
	case codes.NotFound:
		e.kind = ErrNotFound
	case codes.Unimplemented:
		e.kind = ErrNotOffered
	}
	return e
}
