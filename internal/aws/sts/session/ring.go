package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

const (
	// sealFor is how long a key seals; then a new one does.
	sealFor = 24 * time.Hour
	// MaxLife is how long a session lasts at most.
	MaxLife = 12 * time.Hour
	// opensFor is how long a key opens what it sealed.
	opensFor = sealFor + MaxLife + time.Hour
	// reloadPause is the least time between two looks at the store for a key that is not
	// known, however many tokens name one.
	reloadPause = time.Second
	// trustFor is for how long keys count that were read: then the store is asked whether
	// somebody has taken them away.
	trustFor = 10 * time.Second
	// attempts is how often a new key is written when others write at the same time.
	attempts = 5
	keySize  = 32
	idSize   = 8
)

// ErrConflict is that the keys were written by another server in between.
var ErrConflict = errors.New("the keys were changed by others")

// Store keeps the keys, as one text that is to be kept secret.
type Store interface {
	// Load returns the text and its version; without keys both are empty.
	Load(ctx context.Context) (text []byte, version string, err error)
	// Save writes a text in place of that of a version, else it is ErrConflict.
	Save(ctx context.Context, text []byte, version string) error
}

// key seals sessions.
type key struct {
	ID    []byte    `json:"id"`
	Bytes []byte    `json:"key"`
	Made  time.Time `json:"made"`
}

// seals tells whether the key is young enough to seal. A clock that was set back makes
// young keys.
func (k key) seals(now time.Time) bool { return now.Sub(k.Made) < sealFor }
func (k key) opens(now time.Time) bool { return now.Sub(k.Made) < opensFor }

// ring is the keys, read from the store when they are needed.
type ring struct {
	store Store
	clock clock.API
	wall  clock.Wall

	mu     sync.Mutex
	keys   []key // the oldest first
	loaded time.Time
}

// sealing returns the key that seals now, and makes it where there is none.
func (r *ring) sealing(ctx context.Context) (key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range attempts {
		now := r.clock.Now()
		if n := len(r.keys); n > 0 && r.keys[n-1].seals(now) && r.since() < trustFor {
			return r.keys[n-1], nil
		}
		version, err := r.load(ctx)
		if err != nil {
			return key{}, err
		}
		if n := len(r.keys); n > 0 && r.keys[n-1].seals(now) {
			return r.keys[n-1], nil
		}
		err = r.add(ctx, now, version)
		if err != nil && !errors.Is(err, ErrConflict) {
			return key{}, err
		}
	}
	return key{}, ErrConflict
}

// add writes a new key, without those that open nothing any more. The caller holds mu.
func (r *ring) add(ctx context.Context, now time.Time, version string) error {
	k := key{ID: make([]byte, idSize), Bytes: make([]byte, keySize), Made: now}
	rand.Read(k.ID)
	rand.Read(k.Bytes)
	var keys []key
	for _, old := range r.keys {
		if old.opens(now) {
			keys = append(keys, old)
		}
	}
	keys = append(keys, k)
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	if err := r.store.Save(ctx, text, version); err != nil {
		return fmt.Errorf("saving the keys of sessions: %w", err)
	}
	r.keys = keys
	return nil
}

// load reads the keys. The caller holds mu.
func (r *ring) load(ctx context.Context) (version string, err error) {
	r.loaded = r.wall.Now()
	text, version, err := r.store.Load(ctx)
	if err != nil {
		return "", fmt.Errorf("loading the keys of sessions: %w", err)
	}
	r.keys = nil
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r.keys); err != nil {
			return "", errors.New("the keys of sessions are not as they were written: delete their Secret, and all sessions end")
		}
	}
	return version, nil
}

// opening returns the key of an id. The store is asked where it is not known: another
// server may have made it.
func (r *ring) opening(ctx context.Context, id string) (key, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.find(id)
	if ok && r.since() < trustFor {
		return k, k.opens(r.clock.Now()), nil
	}
	if !ok && r.since() < reloadPause {
		return key{}, false, nil
	}
	if _, err := r.load(ctx); err != nil {
		return key{}, false, err
	}
	k, ok = r.find(id)
	return k, ok && k.opens(r.clock.Now()), nil
}

// since is how long ago the keys were read; long where they never were, or the clock was
// set back. The caller holds mu.
func (r *ring) since() time.Duration {
	if since := r.wall.Now().Sub(r.loaded); !r.loaded.IsZero() && since >= 0 {
		return since
	}
	return trustFor
}

func (r *ring) find(id string) (key, bool) {
	for _, k := range r.keys {
		if string(k.ID) == id && len(k.Bytes) == keySize {
			return k, true
		}
	}
	return key{}, false
}
