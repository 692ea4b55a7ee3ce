package query

import (
	"fmt"
	"net/http"
	"strings"
)

// Error is a refusal as AWS answers it. Code and message are for the wire, word by word
// AWS's own; why a call was really refused is told elsewhere.
type Error struct {
	Code, Message string
	// Status is that of the HTTP answer.
	Status int
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// fault says whose it is.
func (e *Error) fault() string {
	if e.Status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// Refuse returns an error of a code.
func Refuse(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

// Codes that many actions answer.

// InvalidAction says that there is no such operation.
func InvalidAction(action, version string) *Error {
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return Refuse(http.StatusBadRequest, codeInvalidAction, "Could not find operation %s for version %s", action, version)
}

const codeInvalidAction = "InvalidAction"

// MissingAuthenticationToken says that an operation needs a signature.
func MissingAuthenticationToken() *Error {
	return Refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
}

// AccessDenied refuses with a text.
func AccessDenied(format string, args ...any) *Error {
	return Refuse(http.StatusForbidden, "AccessDenied", format, args...)
}

// Invalid is a ValidationError of one's own words; those of constraints come from Params.
func Invalid(format string, args ...any) *Error {
	return Refuse(http.StatusBadRequest, codeValidation, format, args...)
}

const codeValidation = "ValidationError"

// Throttling says that there were too many requests.
func Throttling() *Error { return Refuse(http.StatusBadRequest, "Throttling", "Rate exceeded") }

// InternalFailure is the server's own fault.
func InternalFailure(message string) *Error {
	return Refuse(http.StatusInternalServerError, "InternalFailure", "%s", message)
}

// malformed says that a parameter cannot be read at all.
func malformed(format string, args ...any) *Error {
	return Refuse(http.StatusBadRequest, "MalformedInput", format, args...)
}

// invalid is the one answer about all violated constraints.
func invalid(faults []string) *Error {
	s := ""
	if len(faults) > 1 {
		s = "s"
	}
	return Invalid("%d validation error%s detected: %s", len(faults), s, strings.Join(faults, "; "))
}
