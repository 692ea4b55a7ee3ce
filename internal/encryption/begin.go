package encryption

import (
	"context"
	"errors"
	"fmt"

	"laterna.dev/laterna/internal/encryption/atrest"
)

// UnderWayError refuses a rotation because of one that is not complete.
type UnderWayError struct{ Rotation Rotation }

// Error implements error.
func (e *UnderWayError) Error() string {
	return fmt.Sprintf("a rotation to %s is under way since %s (%s): wait until it is complete", e.Rotation.Key.Name, e.Rotation.Started.Format("15:04:05"), e.Rotation.State)
}

// Rotate makes a key and begins to change to it. It returns when the key is on disk
// and the rotation recorded; the rest happens in the background, on this or another
// server, and goes on after a crash.
func (k *Keeper) Rotate(ctx context.Context) error {
	return k.begin(ctx, func() (Rotation, func(), error) {
		if err := k.config.Box.Reload(); err != nil {
			return Rotation{}, nil, fmt.Errorf("reading encryption keys: %w", err)
		}
		old := k.config.Box.Keys()
		key, err := k.config.Box.Add()
		if err != nil {
			return Rotation{}, nil, fmt.Errorf("adding a key to %s: %w", k.config.Box.File(), err)
		}
		r := Rotation{State: Distributing, Key: key}
		for _, o := range old {
			r.Old = append(r.Old, o.Name)
		}
		return r, func() {
			if err := k.config.Box.Remove([]string{key.Name}); err != nil {
				k.config.Log.Warn("a key that is not used stays in the file", "key", key.Name, "error", err)
			}
		}, nil
	})
}

// Rewrite begins to write again every value that is not encrypted as it would be now.
func (k *Keeper) Rewrite(ctx context.Context) error {
	return k.begin(ctx, func() (Rotation, func(), error) {
		return Rotation{State: Rewriting, Key: k.config.Box.Keys()[0]}, func() {}, nil
	})
}

func (k *Keeper) begin(ctx context.Context, prepare func() (r Rotation, undo func(), err error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	last, rev, err := k.load(ctx)
	if err != nil {
		return err
	}
	if last.under() {
		return &UnderWayError{*last}
	}
	r, undo, err := prepare()
	if err != nil {
		return err
	}
	r.Started = k.config.Clock.Now().UTC()
	if _, err := k.store(ctx, &r, rev); err != nil {
		// What is not known to have failed may be on its way: then the key stays.
		if errors.Is(err, errConflict) {
			undo()
		}
		return err
	}
	k.config.Log.Info("encryption of the store changes", "key", r.Key.Name, "removes", r.Old)
	return nil
}

// Settle brings the keys of a server that starts in line with what happened while it did
// not run. It must return before the server writes.
func (k *Keeper) Settle(ctx context.Context) error {
	r, _, err := k.load(ctx)
	if err != nil || r == nil {
		return err
	}
	return k.obey(r)
}

// obey does what the record asks of this server's own keys.
func (k *Keeper) obey(r *Rotation) error {
	box := k.config.Box
	self := Server{Keys: box.Keys()}
	if !self.has(r.Key) && r.under() {
		if err := box.Reload(); err != nil { // somebody may have brought it meanwhile
			return err
		}
		self.Keys = box.Keys()
	}
	demoted := r.State == Rewriting || r.State == Complete && r.removes(self.Keys[0].Name)
	if demoted && self.has(r.Key) && !self.writes(r.Key) {
		if err := box.Promote(r.Key.Name); err != nil {
			return err
		}
		k.config.Log.Info("values are sealed with another key from now on", "key", r.Key.Name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case r.under():
		k.turn = r.Started
	case k.turn.Equal(r.Started) && holdsAny(box.Keys()[1:], r):
		// Only now: later somebody may have brought such a key back, for a backup.
		return box.Remove(r.Old)
	}
	return nil
}

func holdsAny(keys []atrest.Key, r *Rotation) bool {
	for _, key := range keys {
		if r.removes(key.Name) {
			return true
		}
	}
	return false
}
