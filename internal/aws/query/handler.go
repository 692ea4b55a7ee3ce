package query

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"laterna.dev/laterna/internal/bounded"
)

// MaxBody is how much is read of a request's body, in bytes. The longest parameter, a
// policy of 131072 characters, may be three times as long in a form.
const MaxBody = 1 << 20

// Config is what a handler is made from.
type Config struct {
	// Services are told apart by their versions.
	Services []*Service
	// Log is told of faults of the server's own; nil tells nobody.
	Log *slog.Logger
}

// Handler answers calls of several services, whatever the path.
type Handler struct{ config Config }

// NewHandler returns a handler.
func NewHandler(c Config) *Handler {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{c}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &Call{ID: uuid.NewString(), HTTP: r}
	w.Header().Set("X-Amzn-Requestid", call.ID)
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if err := call.read(); err != nil {
		writeError(w, call, err)
		return
	}
	if call.Action == "" {
		w.Header()["Content-Type"] = nil // none, not a guessed one
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte("<UnknownOperationException/>\n"))
		return
	}
	result, err := h.answer(r.Context(), call)
	if err != nil {
		writeError(w, call, h.refusal(call, err))
		return
	}
	writeResult(w, call, result)
}

// read takes in the form of a request.
func (c *Call) read() *Error {
	body, err := bounded.All(c.HTTP.Body, MaxBody)
	if errors.Is(err, bounded.ErrTooLarge) {
		return Refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Request body is too large")
	}
	if err != nil {
		return Refuse(http.StatusBadRequest, "RequestAborted", "Could not read the request body")
	}
	c.Body = body
	c.Form, err = url.ParseQuery(c.HTTP.URL.RawQuery)
	if err != nil {
		return malformed("The query string is malformed")
	}
	if isForm(c.HTTP) {
		sent, err := url.ParseQuery(string(body))
		if err != nil {
			return malformed("The request body is malformed")
		}
		for key, values := range sent {
			c.Form[key] = values
		}
	}
	c.Action = c.Form.Get("Action")
	return nil
}

// isForm tells whether a request's body is a form; one that says nothing is taken for one.
func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return r.Method == http.MethodPost && (kind == "" || kind == "application/x-www-form-urlencoded")
}

// answer finds what is asked for and does it.
func (h *Handler) answer(ctx context.Context, call *Call) (result any, err error) {
	var action Action
	call.Service, action = h.find(call)
	if action.Run == nil {
		return nil, InvalidAction(call.Action, call.Form.Get("Version"))
	}
	s := call.Service
	if s.After != nil {
		defer func() { s.After(ctx, call, err) }()
	}
	if s.Before != nil {
		if err := s.Before(ctx, call); err != nil {
			return nil, err
		}
	}
	if !action.Public {
		if s.Authenticate == nil {
			return nil, MissingAuthenticationToken()
		}
		if call.Caller, err = s.Authenticate(ctx, call); err != nil {
			return nil, err
		}
	}
	return action.Run(ctx, call)
}

// find returns the service that a call means, which is nil where none has its version, and
// its action.
func (h *Handler) find(call *Call) (*Service, Action) {
	named := h.named(strings.ToLower(WithoutPort(call.HTTP.Host)))
	for _, s := range h.config.Services {
		if s.Version == call.Form.Get("Version") && (named == nil || named == s) {
			return s, s.Actions[call.Action]
		}
	}
	return named, Action{}
}

// named returns the service that a host is of, by its first label.
func (h *Handler) named(host string) *Service {
	label, rest, _ := strings.Cut(host, ".")
	if !strings.HasSuffix(rest, "amazonaws.com") && !strings.HasSuffix(rest, "amazonaws.com.cn") {
		return nil
	}
	for _, s := range h.config.Services {
		if label == s.Name {
			return s
		}
	}
	return nil
}

// refusal returns what is answered for an error.
func (h *Handler) refusal(call *Call, err error) *Error {
	var refused *Error
	if errors.As(err, &refused) {
		return refused
	}
	h.config.Log.Error("AWS call failed", "action", call.Action, "request", call.ID, "error", err)
	return InternalFailure("The request processing has failed because of an unknown error, exception or failure.")
}
