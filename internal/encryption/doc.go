// Package encryption changes the key that values of the store are sealed with, while
// servers run: it makes the key known, lets all servers write with it, writes again
// what the old one has sealed, and removes that when nothing is sealed with it any
// more.
//
// It owns the order of these steps, the record of them in the store, which any server
// of the store can go on from, and what /encryption/v1 serves. Keys, the key file and
// the encryption itself are in internal/encryption/atrest. Objects are written as they
// are: only their encryption and their resource version change.
package encryption

import (
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/value"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/encryption/atrest"
)

// Config is what a Keeper works with. Every field is required unless it says otherwise.
type Config struct {
	// Client is the connection to the store. The Keeper does not close it.
	Client *clientv3.Client
	Box    *atrest.Box
	// Transformer returns how objects below /registry/<place>/ are encrypted; nil
	// where nothing is known of them.
	Transformer func(place string) value.Transformer
	// Sealed are the keys of other values that the box seals.
	Sealed []string
	// Server is what people know this server by.
	Server string
	// ProviderConfig names the encryption provider configuration in use. Optional.
	ProviderConfig string
	// Settle is how long a write that has begun may take to reach the store: as long
	// as that an old key stays after all servers have ceased to write with it.
	Settle time.Duration
	// Clock is wall time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Keeper carries out rotations, together with those of the other servers of the store.
// Settle is called first, then Run; other methods may be called concurrently.
type Keeper struct {
	config Config

	mu sync.Mutex
	// turn is the rotation that this process has seen before it was complete.
	turn time.Time

	// Of Run alone: until when the old keys stay, zero while servers write with them,
	// and how often everything was written again.
	settled time.Time
	passes  int
}

// New returns a Keeper that does nothing yet.
func New(c Config) *Keeper { return &Keeper{config: c} }

// prefix is where records are in the store.
const prefix = "/laterna/encryption/"

// leaseSeconds is how long a server that has died counts as one that runs.
const leaseSeconds = 10
