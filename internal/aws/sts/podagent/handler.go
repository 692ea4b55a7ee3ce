package podagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/google/uuid"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts"
)

// Address is where SDKs look for the agent.
var Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{169, 254, 170, 23}), 80)

const (
	// Path is what it answers.
	Path = "/v1/credentials"
	// maxToken is how long a token may be, as for STS.
	maxToken = 20000
	// most is how many requests are worked on at once.
	most = 64
)

// Config is what a handler is made from. Every field is required.
type Config struct {
	// Assume is STS.AssumeRoleForPodIdentity.
	Assume func(req *http.Request, id, token string) (sts.PodCredentials, error)
	Log    *slog.Logger
}

// Handler answers pods.
type Handler struct {
	config Config
	room   chan struct{}
}

// New returns a handler.
func New(c Config) *Handler { return &Handler{c, make(chan struct{}, most)} }

// credentials are the answer.
type credentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	AccountID       string `json:"AccountId"`
	Expiration      string
}

// ServeHTTP implements http.Handler. Refusals are plain text, as the agent's are; SDKs show
// them.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	// A name that leads here is no way for what a browser or a proxy is made to ask.
	if host := query.WithoutPort(r.Host); host != Address.Addr().String() {
		http.Error(w, fmt.Sprintf("Access Denied. Called agent through invalid address, please use either [%s] address not %s", Address.Addr(), host), http.StatusForbidden)
		return
	}
	select {
	case h.room <- struct{}{}:
		defer func() { <-h.room }()
	default:
		http.Error(w, "Too Many Requests. ", http.StatusTooManyRequests)
		return
	}
	token := r.Header.Get("Authorization")
	switch {
	case token == "":
		http.Error(w, "Service account token cannot be empty", http.StatusBadRequest)
		return
	case len(token) > maxToken || !boundtoken.LooksLike(token):
		http.Error(w, "Service account token cannot be parsed: token is malformed", http.StatusBadRequest)
		return
	}
	id := uuid.NewString()
	made, err := h.config.Assume(r, id, token)
	if err != nil {
		h.refuse(w, r, id, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(credentials{made.ID, made.Secret, made.Token, made.Account, made.Expiration}) // a client that has gone is nobody to tell
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, id string, err error) {
	var refused *query.Error
	if !errors.As(err, &refused) {
		if r.Context().Err() == nil {
			h.config.Log.Error("credentials of a pod were not made", "request", id, "error", err)
		}
		refused = query.Refuse(http.StatusInternalServerError, "InternalServerException", "An internal error occurred.")
	}
	fault := "client"
	if refused.Status >= http.StatusInternalServerError {
		fault = "server"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(refused.Status)
	_, _ = io.WriteString(w, fmt.Sprintf("[%s]: (%s): %s, fault: %s\n", id, refused.Code, refused.Message, fault)) // see ServeHTTP
}
