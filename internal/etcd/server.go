package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/features"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"laterna.dev/laterna/internal/clock"
)

// Limits of the embedded server.
const (
	// quotaBytes is the size at which the store refuses writes.
	quotaBytes = 4 << 30
	// maxRequestBytes is etcd's own default: what an API object may take in the
	// store, metadata and managed fields included.
	maxRequestBytes = 1536 << 10
	// defragMegabytes is how much a defragmentation at start must free to be
	// worth its time.
	defragMegabytes = 64
	// walSegmentBytes is what a log segment reserves on disk. etcd's own 64 MiB
	// are twice as much as a small system ever writes between two snapshots.
	walSegmentBytes = 8 << 20
	// snapshotEntries is after how many writes the log starts anew from a snapshot:
	// a start after a crash reads all of it. catchUpEntries is how many of the log
	// stay in memory, besides at most 100 until the next look: a single member has no
	// slow follower that would need more. An entry may be as large as a request.
	snapshotEntries, catchUpEntries = 1000, 16
	// tick is the heartbeat. A single member has nobody to send heartbeats to, and
	// every tick wakes the process up.
	tick          = 100 * time.Millisecond
	electionTicks = 10
)

// name and peerURL identify the only member. They are recorded in the data
// directory, so they do not depend on where that is.
const (
	name    = "laterna"
	peerURL = "unix://laterna"
)

// Config says where an embedded server lives.
type Config struct {
	// Dir holds the data. It is made with mode 0700.
	Dir string
	// SocketDir holds the socket. Socket paths are limited to 108 bytes.
	SocketDir string
	Wall      clock.Wall
	// Log gets what goes wrong, nothing else.
	Log *slog.Logger
}

// Server is an embedded single-member etcd. It implements component.Component:
// Start returns while the server still comes up, Await waits for it.
type Server struct {
	config  Config
	etcd    *etcdserver.EtcdServer
	grpc    *grpc.Server
	applied uint64        // the last entry of the log that the database held when opened
	led     chan struct{} // closed when the member leads and its log has been looked at
	started chan struct{} // closed when the server answers
	over    sync.Once
	cause   error         // why it has ended; written before ended is closed
	ended   chan struct{} // closed when it never will answer (again)
	faults  chan error    // the first for which the library gives up
	failed  chan error
	stop    sync.Once
	stopped chan struct{} // closed by Stop
	serving sync.WaitGroup
}

// New returns a server that has not started.
func New(c Config) *Server {
	return &Server{
		config:  c,
		led:     make(chan struct{}),
		started: make(chan struct{}),
		ended:   make(chan struct{}),
		faults:  make(chan error, 1),
		failed:  make(chan error, 1),
		stopped: make(chan struct{}),
	}
}

// Name implements component.Component.
func (s *Server) Name() string { return "etcd" }

// Init implements component.Component.
func (s *Server) Init(context.Context) error {
	if err := os.MkdirAll(s.config.SocketDir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", s.config.SocketDir, err)
	}
	return nil
}

// Start implements component.Component. It returns when the data is read and the
// socket exists; Await tells when the server answers.
func (s *Server) Start(ctx context.Context) error {
	if s.etcd == nil {
		if err := s.Open(ctx); err != nil {
			return err
		}
	}
	listener, err := listen(s.socket())
	if err != nil {
		s.end(err)
		return err
	}
	s.etcd.Cfg.ElectionTicks = 1 // no head start: campaign sees to it
	s.etcd.Start()
	s.grpc = v3rpc.Server(s.etcd, nil, nil,
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}))
	s.serving.Go(func() { s.serve(listener) })
	s.serving.Go(s.watch)
	s.serving.Go(func() {
		defer elections.Unlock()
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		go func() {
			select {
			case <-s.ended:
				cancel()
			case <-ctx.Done():
			}
		}()
		campaign(ctx, s.etcd, s.config.Wall)
		if err := checkLog(s.etcd, s.applied); err != nil {
			s.fault(err)
			return
		}
		close(s.led)
	})
	return nil
}

// serverConfig holds etcd's defaults but for what the constants above say.
func (s *Server) serverConfig() (config.ServerConfig, error) {
	peers, err := types.NewURLs([]string{peerURL})
	if err != nil {
		return config.ServerConfig{}, fmt.Errorf("peer address: %w", err)
	}
	clients, err := types.NewURLs([]string{"unix://" + s.socket()})
	if err != nil {
		return config.ServerConfig{}, fmt.Errorf("client address: %w", err)
	}
	logger := newZap(s.config.Log, s)
	return config.ServerConfig{
		Name:                              name,
		ClientURLs:                        clients,
		PeerURLs:                          peers,
		DataDir:                           s.config.Dir,
		SnapshotCount:                     snapshotEntries,
		SnapshotCatchUpEntries:            catchUpEntries,
		MaxSnapFiles:                      3,
		MaxWALFiles:                       3,
		InitialPeerURLsMap:                types.URLsMap{name: peers},
		InitialClusterToken:               name,
		NewCluster:                        true,
		TickMs:                            uint(tick / time.Millisecond),
		ElectionTicks:                     electionTicks,
		InitialElectionTickAdvance:        true,
		AutoCompactionMode:                "periodic", // retention 0: the API server compacts
		QuotaBackendBytes:                 quotaBytes,
		BackendFreelistType:               bolt.FreelistMapType,
		MaxTxnOps:                         128,
		MaxRequestBytes:                   maxRequestBytes,
		MaxConcurrentStreams:              math.MaxUint32,
		WarningApplyDuration:              time.Second,
		WarningUnaryRequestDuration:       time.Second,
		BootstrapDefragThresholdMegabytes: defragMegabytes,
		DowngradeCheckTime:                time.Minute,
		CompactHashCheckTime:              time.Minute,
		V2Deprecation:                     config.V2DeprDefault,
		ServerFeatureGate:                 features.NewDefaultServerFeatureGate(name, logger),
		Metrics:                           "basic",
		Logger:                            logger,
	}, nil
}

// shrinkWAL sets the segment size, which etcd keeps in a variable of the package.
var shrinkWAL = sync.OnceFunc(func() { wal.SegmentSizeBytes = walSegmentBytes })

func (s *Server) socket() string { return filepath.Join(s.config.SocketDir, "etcd.sock") }

// listen replaces a socket that a killed process left behind.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on store's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting store's socket: %w", err), l.Close())
	}
	return l, nil
}

func (s *Server) serve(l net.Listener) {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		s.fail(fmt.Errorf("serving store: %w", err))
	}
}

// readyTimeout bounds the time from the election, which is at once, to the first answer:
// what the log has more than the database, at most some thousands of writes, is applied.
const readyTimeout = time.Minute

// errSlow says that a store that could be read does not get on. It is not damaged.
var errSlow = fmt.Errorf("it has not begun to answer within %s", readyTimeout)

// watch reports when the server has become able to answer, and when it has ended.
func (s *Server) watch() {
	late := s.config.Wall.NewTimer(readyTimeout)
	defer late.Stop()
	ready, led := s.etcd.ReadyNotify(), s.led
	for ready != nil || led != nil {
		var err error
		select {
		case <-ready:
			ready = nil
			continue
		case <-led:
			led = nil
			continue
		case err = <-s.faults:
		case <-late.C():
			err = errSlow
		case <-s.etcd.StopNotify():
			s.end(errEnded)
			return
		}
		s.fail(s.refuse(err))
		return
	}
	close(s.started)
	s.keepRoom(s.etcd.StopNotify())
	s.end(errEnded)
	s.fail(errEnded)
}

var errEnded = errors.New("store has ended")

// end lets those who wait for the store know why it does not come.
func (s *Server) end(cause error) {
	s.over.Do(func() {
		s.cause = cause
		close(s.ended)
	})
}

// fault takes what the library gives up for while the store is opened, and reports
// whether anybody hears it.
func (s *Server) fault(err error) bool {
	if !s.opening() {
		return false
	}
	select {
	case s.faults <- err:
	default: // the first is the cause of the others
	}
	return true
}

// fail reports the first error that Stop did not cause.
func (s *Server) fail(err error) {
	select {
	case <-s.stopped:
		return
	default:
	}
	select {
	case s.failed <- err:
	default:
	}
}

// Await waits until the server answers and returns how to reach it. It may be
// called before Start.
func (s *Server) Await(ctx context.Context) (Endpoints, error) {
	select {
	case <-s.started:
		return Endpoints{URLs: []string{"unix://" + s.socket()}}, nil
	case <-s.ended:
		return Endpoints{}, s.cause
	case <-ctx.Done():
		return Endpoints{}, fmt.Errorf("waiting for store: %w", context.Cause(ctx))
	}
}

// Ready implements component.Readier.
func (s *Server) Ready() error {
	select {
	case <-s.ended:
		return s.cause
	default:
	}
	select {
	case <-s.started:
		return nil
	default:
		return errors.New("store is starting")
	}
}

// Failed implements component.Failer.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop implements component.Component. Connections that are still open are cut. A store
// that has ended with a fault is left as it is, since the library waits for what has
// ended; its locks end with the process.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		close(s.stopped)
		faulty := s.hasEnded()
		s.end(errEnded)
		switch {
		case s.etcd == nil:
		case s.grpc == nil:
			s.release(ctx, s.etcd)
			elections.Unlock()
		case faulty:
			go s.grpc.Stop()
		default:
			s.grpc.Stop()
			s.etcd.Stop()
			s.serving.Wait()
		}
	})
	return nil
}

// opening tells whether the server has not answered yet.
func (s *Server) opening() bool {
	select {
	case <-s.started:
		return false
	default:
		return true
	}
}

// hasEnded tells whether the store has ended by itself.
func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}
