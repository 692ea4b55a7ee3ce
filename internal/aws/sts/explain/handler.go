package explain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

// Path is where records are read; below it each has its request id.
const Path = "/aws/explain"

// Question asks what would be answered to a token that is to become a role.
type Question struct {
	Role  string `json:"role"`
	Token string `json:"token"`
	// Session is the name of the session; empty is one that passes.
	Session string `json:"session,omitempty"`
}

// Records are the last ones, the newest first: each a Record, or a Brief where the query
// has "brief".
type Records struct {
	Records []json.RawMessage `json:"records"`
}

// Handler lets administrators read a journal, and ask why a token would be refused. ask
// answers the latter, without beginning a session.
type Handler struct {
	Journal *Journal
	Ask     func(*http.Request, Question) *Record
}

// usual is how many records are returned where nobody says how many.
const usual = 20

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.Trim(strings.TrimPrefix(r.URL.Path, Path), "/")
	switch {
	case r.Method == http.MethodGet && id == "":
		h.list(w, r)
	case r.Method == http.MethodGet:
		record, ok := h.Journal.Find(id)
		if !ok {
			http.Error(w, "no call of this id is among the last ones that were kept: the journal holds "+strconv.Itoa(MaxRecords)+" and begins anew with the server", http.StatusNotFound)
			return
		}
		respond(w, record)
	case r.Method == http.MethodPost && id == "":
		body, err := bounded.All(r.Body, bounded.Small)
		var q Question
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil || q.Role == "" || q.Token == "" {
			http.Error(w, errors.Join(errors.New("want a JSON object with role and token"), err).Error(), http.StatusBadRequest)
			return
		}
		respond(w, h.Ask(r, q))
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// list answers with the last calls. What is asked for again and again is only sent when it
// has changed.
func (h Handler) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	last, n := h.Journal.Last, usual
	if query.Has("brief") {
		last, n = h.Journal.Briefs, MaxRecords
	}
	if limit, err := strconv.Atoi(query.Get("limit")); err == nil && limit > 0 {
		n = limit
	}
	all := last(n)
	hash := sha256.New()
	for _, text := range all {
		hash.Write(text)
	}
	tag := `"` + hex.EncodeToString(hash.Sum(nil)[:12]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	respond(w, Records{all})
}

func respond(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone is nobody to tell
}
