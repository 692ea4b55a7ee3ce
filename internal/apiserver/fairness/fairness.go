// Package fairness admits requests by priority and fairness: flow schemas say to which
// priority level a request belongs, each level has its share of the seats of the server, and
// within a level those take turns who ask, so that none takes the server from the others.
//
// The library (k8s.io/apiserver/pkg/util/flowcontrol) classifies, queues and dispatches; this
// package owns how many seats there are, how long a request waits for one, that requests
// which wait for their clients give way, and when the library begins to read its objects.
// The kinds of these objects and those that always exist are in internal/registry/flowcontrol;
// what answers may hold in memory and how long clients may take is internal/apiserver/answers'.
package fairness

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing"
	"k8s.io/apiserver/pkg/util/flowcontrol/metrics"
	"k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
)

const (
	// Seats is what all levels share, as in a Kubernetes that is not told otherwise
	// (--max-requests-inflight 400, --max-mutating-requests-inflight 200). It is no
	// setting: a request that is served costs processor and memory, which more seats do
	// not add, and one that waits costs next to nothing. Who wants another division gives
	// levels other shares.
	Seats = 600
	// Patience is how long a request waits for a seat.
	Patience = 15 * time.Second
	// look is how often a request that waits looks for those that should give way.
	look = 500 * time.Millisecond
)

// Path is below which the library shows what it does: levels, queues and the requests in
// them.
const Path = "/debug/api_priority_and_fairness/"

// Config is what admission by priority and fairness needs. Every field is required.
type Config struct {
	// Client reads flow schemas and levels, and writes the status of schemas.
	Client kubernetes.Interface
	// Begin is closed when they may be read; until then requests share all seats.
	Begin <-chan struct{}
	// Sit notes that the request of a context, which is an account's, has a seat in a level
	// until leave is called.
	Sit func(ctx context.Context, level, account string) (leave func())
	// GiveWay ends the requests with a seat in a level that wait for their clients for too
	// long. A request of an account waits for a seat.
	GiveWay func(level, account string)
	Wall    clock.Wall
}

// Fairness admits requests. It implements flowcontrol.Interface; its methods may be called
// concurrently.
type Fairness struct {
	flowcontrol.Interface
	config    Config
	informers informers.SharedInformerFactory

	// pressed is when requests last had to give way for an account in a level.
	mu      sync.Mutex
	pressed map[waiter]time.Time
}

// New returns what admits requests as if there were only the mandatory levels, until Run
// has read the others.
func New(c Config) *Fairness {
	metrics.Register()
	factory := informers.NewSharedInformerFactory(c.Client, 0)
	return &Fairness{
		Interface: flowcontrol.New(factory, c.Client.FlowcontrolV1(), Seats),
		config:    c,
		informers: factory,
		pressed:   map[waiter]time.Time{},
	}
}

// Run implements flowcontrol.Interface.
func (f *Fairness) Run(stop <-chan struct{}) error {
	select {
	case <-f.config.Begin:
	case <-stop:
		return nil
	}
	f.informers.Start(stop)
	defer f.informers.Shutdown()
	if err := f.Interface.Run(stop); err != nil {
		return fmt.Errorf("reading flow schemas and priority levels: %w", err)
	}
	return nil
}

// Install implements flowcontrol.Interface: Handler serves what the library would install.
func (f *Fairness) Install(*mux.PathRecorderMux) {}

// Handler shows what the library does, below Path. The library writes while it lets no
// request pass: what it writes is kept until it is done.
func (f *Fairness) Handler() http.Handler {
	paths := mux.NewPathRecorderMux("fairness")
	f.Interface.Install(paths)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		kept := &buffer{ResponseWriter: w, status: http.StatusOK}
		paths.ServeHTTP(kept, req)
		w.WriteHeader(kept.status)
		w.Write(kept.Bytes())
	})
}

// buffer is a response that is kept.
type buffer struct {
	http.ResponseWriter // its header is used
	bytes.Buffer
	status int
}

// WriteHeader implements http.ResponseWriter.
func (b *buffer) WriteHeader(status int) { b.status = status }

// Write implements http.ResponseWriter.
func (b *buffer) Write(p []byte) (int, error) { return b.Buffer.Write(p) }

// Handle implements flowcontrol.Interface.
func (f *Fairness) Handle(ctx context.Context, digest flowcontrol.RequestDigest,
	note func(*flowcontrolv1.FlowSchema, *flowcontrolv1.PriorityLevelConfiguration, string),
	estimate func() request.WorkEstimate, queued fairqueuing.QueueNoteFn, execute func(),
) {
	// The library waits for a part of what a request may take, of which lists may much.
	within, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	w, served := waiting{fairness: f, waiter: waiter{account: digest.User.GetName()}}, false
	defer w.end()
	f.Interface.Handle(within, digest, func(s *flowcontrolv1.FlowSchema, l *flowcontrolv1.PriorityLevelConfiguration, flow string) {
		w.level = l.Name
		note(s, l, flow)
	}, estimate, func(in bool) {
		if in {
			w.begin()
		} else {
			w.end()
		}
		queued(in)
	}, func() {
		served = true
		if w.level != flowcontrolv1.PriorityLevelConfigurationNameExempt {
			defer f.config.Sit(ctx, w.level, w.account)()
		}
		execute()
	})
	if !served { // there may be no queue, where somebody would have pressed
		f.press(w.waiter)
	}
}
