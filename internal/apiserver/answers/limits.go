package answers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"laterna.dev/laterna/internal/apiserver/fairshare"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/clock"
)

const (
	// listBytes is what all lists of a level may hold at once, watchBytes what the
	// events may that watches are being sent; half of it one account.
	listBytes  = 128 << 20
	watchBytes = 64 << 20
	// budgetShare is the part of a heap limit that a level's lists have at most.
	budgetShare = 8
	// listsWaiting is how many lists of an account wait: each has seats of its priority
	// level meanwhile.
	listsWaiting = 64
	// listPatience is how long a list waits, as in Kubernetes a quarter of what a
	// request may take.
	listPatience = RequestTimeout / 4
	// stalledReader is how long a client may read nothing while others wait.
	stalledReader = 10 * time.Second
	// watchesPerAccount is how many watches an account may have open. A node has one
	// for every object that its pods refer to.
	watchesPerAccount = 1000
	watchesPerNode    = 20000
	// websocketWatches is how many watches one over a websocket counts for: nothing
	// tells whether its client reads. transformedWatches is the same for one of tables
	// or metadata, in which the library leaves its largest event.
	websocketWatches   = 16
	transformedWatches = 4
	// retrySeconds is what clients are told that come too often.
	retrySeconds = 1
)

// level is a kind of accounts that does not take from the other.
type level struct {
	lists, watches *fairshare.Gate
	// open is how many watches one account may have.
	open int
}

// Limits bound what the answers to requests hold in memory: for each account, and
// for all of them. The process's own requests are exempt. Its methods may be called
// concurrently.
type Limits struct {
	codecs runtime.NegotiatedSerializer
	// system is for administrators, nodes and parts of the system; accounts for
	// everybody else.
	system, accounts level

	mu   sync.Mutex
	open map[string]int // watches by account
}

// NewLimits returns the limits of a process whose heap is limited to that many bytes,
// math.MaxInt64 where it is not.
func NewLimits(codecs runtime.NegotiatedSerializer, heap int64, c clock.Wall) *Limits {
	lists := min(listBytes, heap/budgetShare)
	made := func(open int) level {
		gate := func(bytes int64, waiting int) *fairshare.Gate {
			return fairshare.New(fairshare.Config{Total: bytes, Account: bytes / 2, Waiting: waiting, Patience: listPatience, Stalled: stalledReader, Clock: c})
		}
		return level{lists: gate(lists, listsWaiting), watches: gate(lists*watchBytes/listBytes, open), open: open}
	}
	return &Limits{codecs: codecs, system: made(watchesPerNode), accounts: made(watchesPerAccount), open: map[string]int{}}
}

// levelOf returns whom a user takes from.
func (l *Limits) levelOf(u user.Info) *level {
	_, isNode := node.Name(u)
	if isNode || slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup) || strings.HasPrefix(u.GetName(), "system:kube-") {
		return &l.system
	}
	return &l.accounts
}

// Wrap lets requests of a user through to next that may hold much, after their
// authorization.
func (l *Limits) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		reading := readingOf(req.Context())
		info, ok := request.RequestInfoFrom(req.Context())
		u, known := request.UserFrom(req.Context())
		if reading == nil || !ok || !known || !info.IsResourceRequest {
			next.ServeHTTP(w, req)
			return
		}
		level := l.levelOf(u)
		switch info.Verb {
		case "watch":
			if err := l.addWatch(reading, level, u.GetName(), req); err != nil {
				responsewriters.ErrorNegotiated(err, l.codecs, schema.GroupVersion{Version: "v1"}, w, req)
				return
			}
			reading.enter(level.watches, u.GetName())
		case "list", "deletecollection":
			reading.form = formOf(req)
			reading.enter(level.lists, u.GetName())
		}
		next.ServeHTTP(w, req)
	})
}

// enter counts what the request will hold for an account.
func (r *reading) enter(g *fairshare.Gate, account string) {
	visit := g.Visit(account, r.cut)
	r.visit.Store(visit)
	r.atEnd(visit.Leave)
}

// addWatch counts a watch of an account until it ends.
func (l *Limits) addWatch(r *reading, level *level, account string, req *http.Request) error {
	n := 1
	switch {
	case wsstream.IsWebSocketRequest(req):
		n = websocketWatches
	case formOf(req) != itemForm:
		n = transformedWatches
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[account]+n > level.open {
		return errors.NewTooManyRequests(fmt.Sprintf("too many watches: %q has %d open, at most %d are served at once; end some, or watch collections instead of single objects", account, l.open[account], level.open), retrySeconds)
	}
	l.open[account] += n
	r.atEnd(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open[account] -= n; l.open[account] == 0 {
			delete(l.open, account)
		}
	})
	return nil
}
