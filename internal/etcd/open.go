package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/storage/schema"
)

// Open takes the store for this process and reads it, without serving it yet. It returns
// within a second when another process has the store, and with an error that says why and
// what to do when the store cannot be read; a store that reads well may take longer. Start
// calls it when nobody has. It is called once; Stop gives the store up.
func (s *Server) Open(ctx context.Context) error {
	shrinkWAL()
	if err := os.MkdirAll(s.config.Dir, 0o700); err != nil {
		return s.refuse(fmt.Errorf("making its directory: %w", err))
	}
	sc, err := s.serverConfig()
	if err != nil {
		return s.refuse(err)
	}
	elections.Lock()
	if err := s.open(ctx, sc); err != nil {
		elections.Unlock()
		if ctx.Err() != nil {
			s.end(err)
			return fmt.Errorf("opening store in %s: %w", s.config.Dir, err)
		}
		return s.refuse(err)
	}
	return nil
}

// refuse gives a reason for which there is no store its place and its way out, to the
// caller and to those who wait for the store.
func (s *Server) refuse(err error) error {
	err = fmt.Errorf("opening store in %s: %w; %s", s.config.Dir, err, wayOut(s.config.Dir, err))
	s.end(err)
	return err
}

// open reads the store in a goroutine of its own: the library ends the goroutine that
// finds a fault, panics, and waits without an end for locks and for goroutines that have
// ended. What it opens after ctx has ended it gives up again.
func (s *Server) open(ctx context.Context, sc config.ServerConfig) error {
	var read *etcdserver.EtcdServer
	opened := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if cause := recover(); cause != nil {
				err = asError(cause)
			}
			opened <- err
		}()
		// The database is mapped into memory: where the file is shorter than it says,
		// reading it is a fault of an address.
		debug.SetPanicOnFault(true)
		err = errGivenUp
		read, err = s.read(sc)
	}()
	select {
	case err := <-opened:
		if errors.Is(err, errGivenUp) {
			return <-s.faults
		}
		if err == nil {
			s.etcd = read
			s.applied, _ = schema.ReadConsistentIndex(read.Backend().ReadTx())
		}
		return err
	case err := <-s.faults:
		return err
	case <-ctx.Done():
		go func() {
			if <-opened == nil {
				elections.Lock()
				defer elections.Unlock()
				s.release(context.WithoutCancel(ctx), read)
			}
		}()
		return context.Cause(ctx)
	}
}

// errGivenUp stands for the fault that has ended the reading goroutine.
var errGivenUp = errors.New("the store cannot be read")

// asError makes an error of what somebody has panicked with.
func asError(cause any) error {
	if err, ok := cause.(runtime.Error); ok {
		return fmt.Errorf("it cannot be read (%w)", err)
	}
	if err, ok := cause.(error); ok {
		return err
	}
	return fmt.Errorf("%v", cause)
}

// read checks what the library does not, and lets it read the rest.
func (s *Server) read(sc config.ServerConfig) (*etcdserver.EtcdServer, error) {
	if err := checkLocks(sc.BackendPath(), sc.WALDir()); err != nil {
		return nil, err
	}
	if err := checkRoom(s.config.Dir); err != nil {
		return nil, err
	}
	if err := checkFiles(sc.MemberDir(), sc.BackendPath(), sc.WALDir()); err != nil {
		return nil, err
	}
	return etcdserver.NewServer(sc)
}

// release gives up a store that was opened and is not started, until ctx ends. Only a
// server that runs closes its log, and with it the log's locks: this one runs for a
// moment, without becoming the leader. One that meets a fault is left as it is.
func (s *Server) release(ctx context.Context, opened *etcdserver.EtcdServer) {
	ended := make(chan struct{})
	go func() {
		opened.Cfg.ElectionTicks = 1 // no head start to an election
		opened.Start()
		opened.HardStop()
		close(ended)
	}()
	select {
	case <-ended:
	case <-s.faults:
	case <-ctx.Done():
	}
}
