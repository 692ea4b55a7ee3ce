package server

import (
	"context"
	"log/slog"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/etcd"
)

// Store is where objects are kept: in this process, or in a cluster that runs elsewhere.
type Store struct {
	embedded *etcd.Server // nil with one elsewhere
	external etcd.Endpoints
}

// NewStore returns a store that is not open yet.
func NewStore(c config.Store, dir datadir.Dir, wall clock.Wall, log *slog.Logger) *Store {
	if len(c.EtcdServers) > 0 {
		return &Store{external: etcd.Endpoints{URLs: c.EtcdServers, CAFile: c.EtcdCAFile, CertFile: c.EtcdCertFile, KeyFile: c.EtcdKeyFile}}
	}
	return &Store{embedded: etcd.New(etcd.Config{Dir: dir.Etcd(), SocketDir: dir.RunDir, Wall: wall, Log: log})}
}

// Open makes a store in this process its own, until Stop. One that runs elsewhere is not
// waited for: it may come up later.
func (s *Store) Open(ctx context.Context) error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Open(ctx)
}

// Stop lets go of the store. It may be called after an Open that failed, and again.
func (s *Store) Stop(ctx context.Context) error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Stop(ctx)
}

// Await is how the API server finds the store.
func (s *Store) Await(ctx context.Context) (etcd.Endpoints, error) {
	if s.embedded == nil {
		return s.external.Await(ctx)
	}
	return s.embedded.Await(ctx)
}

// Components are what runs of the store in this process.
func (s *Store) Components() []component.Component {
	if s.embedded == nil {
		return nil
	}
	return []component.Component{s.embedded}
}
