// Package healthcheck tells load balancers by HTTP, without authentication, whether a node
// has endpoints of a service (spec.healthCheckNodePort): 200 or 503, how many as the weight
// and in a small document, as upstream's kube-proxy does.
//
// It owns the listeners. Which services ask for it is network/serviceapi's to say.
package healthcheck

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// patience bounds how long a client takes to ask, and to read what it is told.
	patience = 5 * time.Second
	// maxHeader bounds a request, in bytes.
	maxHeader = 8 << 10
)

// Name is that of a service.
type Name struct{ Namespace, Name string }

func (n Name) compare(m Name) int {
	return cmp.Or(strings.Compare(n.Namespace, m.Namespace), strings.Compare(n.Name, m.Name))
}

// Service is one whose health is told.
type Service struct {
	Name Name
	Port uint16
	// Local is how many of its endpoints are on this node.
	Local int
}

// Servers tell the health of services. Its methods are called by one goroutine.
type Servers struct {
	log  *slog.Logger
	at   map[Name]*server
	room room
}

type server struct {
	name  Name
	port  uint16
	local atomic.Int64
	http  *http.Server
}

// New returns no servers yet.
func New(log *slog.Logger) *Servers {
	return &Servers{log: log, at: map[Name]*server{}, room: room{most: most}}
}

// Set makes the services those. The error is of ports that cannot be listened at; the others
// are told of all the same, and those are tried again the next time.
func (s *Servers) Set(ctx context.Context, all []Service) error {
	wanted := map[Name]Service{}
	for _, one := range all {
		wanted[one.Name] = one
	}
	for name, running := range s.at {
		if wanted[name].Port != running.port {
			running.http.Close()
			delete(s.at, name)
		}
	}
	var errs []error
	for _, name := range slices.SortedFunc(maps.Keys(wanted), Name.compare) { // so that the error is the same again
		one, running := wanted[name], s.at[name]
		if running == nil {
			var err error
			if running, err = s.start(ctx, one); err != nil {
				errs = append(errs, err)
				continue
			}
			s.at[name] = running
		}
		running.local.Store(int64(one.Local))
	}
	return errors.Join(errs...)
}

// Close ends all.
func (s *Servers) Close() {
	for _, running := range s.at {
		running.http.Close()
	}
	clear(s.at)
}

func (s *Servers) start(ctx context.Context, of Service) (*server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(int(of.Port)))
	if err != nil {
		return nil, fmt.Errorf("telling the health of service %s: %w", of.Name.Namespace+"/"+of.Name.Name, err)
	}
	one := &server{name: of.Name, port: of.Port}
	one.local.Store(int64(of.Local))
	one.http = &http.Server{
		Handler: one, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: patience, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := one.http.Serve(s.room.in(l)); !errors.Is(err, http.ErrServerClosed) {
			s.log.Warn("the health of a service is not told any more", "service", of.Name.Namespace+"/"+of.Name.Name, "error", err)
		}
	}()
	return one, nil
}

// answer is upstream's document.
type answer struct {
	Service struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"service"`
	LocalEndpoints      int64 `json:"localEndpoints"`
	ServiceProxyHealthy bool  `json:"serviceProxyHealthy"`
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a := answer{LocalEndpoints: s.local.Load(), ServiceProxyHealthy: true}
	a.Service.Namespace, a.Service.Name = s.name.Namespace, s.name.Name
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Load-Balancing-Endpoint-Weight", strconv.FormatInt(a.LocalEndpoints, 10))
	if a.LocalEndpoints == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(a) // the client has gone
}
