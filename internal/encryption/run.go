package encryption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/wait"
)

const (
	// retryAfter is the pause after an error.
	retryAfter = time.Second
	// lookEvery is how often a server that waits for a key looks for it in its file.
	lookEvery = time.Second
)

// Run reports this server to others, follows rotations and carries them out until ctx
// ends. It is called once, and never returns before.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := k.attend(ctx); err != nil && ctx.Err() == nil {
			k.config.Log.Warn("encryption of the store cannot be followed, trying again", "error", err)
		}
		wait.Pause(ctx, k.config.Clock, retryAfter)
	}
}

// attend is Run for as long as the store keeps this server's lease.
func (k *Keeper) attend(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	grant, err := k.config.Client.Grant(ctx, leaseSeconds)
	if err != nil {
		return fmt.Errorf("reporting to the store: %w", err)
	}
	defer k.leave(ctx, grant.ID)
	alive, err := k.config.Client.KeepAlive(ctx, grant.ID)
	if err != nil {
		return fmt.Errorf("reporting to the store: %w", err)
	}
	changes := k.config.Client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	reported := ""
	for {
		again, err := k.step(ctx, grant.ID, &reported)
		if err != nil {
			return err
		}
		timer := k.config.Clock.NewTimer(again)
		if again == 0 {
			timer.Stop()
		}
		err = k.await(ctx, alive, changes, timer.C())
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// errLost ends the work of a server that others take for dead.
var errLost = errors.New("connection to the store was lost")

// await returns when there may be something to do.
func (k *Keeper) await(ctx context.Context, alive <-chan *clientv3.LeaseKeepAliveResponse, changes clientv3.WatchChan, again <-chan time.Time) error {
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return errLost
			}
		case resp, ok := <-changes:
			if !ok {
				return errLost
			}
			return resp.Err()
		case <-again:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave tells the others that this server goes.
func (k *Keeper) leave(ctx context.Context, lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryAfter)
	defer cancel()
	if _, err := k.config.Client.Revoke(ctx, lease); err != nil {
		k.config.Log.Debug("the report to the store stays until it expires", "error", err)
	}
}

// step does what is due. It returns when to be called again if nothing changes, 0 for
// never.
func (k *Keeper) step(ctx context.Context, lease clientv3.LeaseID, reported *string) (again time.Duration, err error) {
	r, rev, err := k.load(ctx)
	if err != nil {
		return 0, err
	}
	if r != nil {
		if err := k.obey(r); err != nil {
			return 0, err
		}
	}
	if err := k.report(ctx, lease, reported); err != nil {
		return 0, err
	}
	if !r.under() {
		k.settled, k.passes = time.Time{}, 0
		return 0, nil
	}
	leads, err := k.take(ctx, lease)
	if err != nil {
		return 0, err
	}
	if leads {
		again, err = k.carry(ctx, r, rev)
		if errors.Is(err, errConflict) {
			again, err = 0, nil // its event is on the way
		}
	}
	if self := (Server{Keys: k.config.Box.Keys()}); !self.has(r.Key) && again == 0 {
		again = lookEvery
	}
	return again, err
}

// report tells the others which keys this server has, if that is news.
func (k *Keeper) report(ctx context.Context, lease clientv3.LeaseID, reported *string) error {
	data, err := json.Marshal(Server{Name: k.config.Server, Keys: k.config.Box.Keys()})
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	if string(data) == *reported {
		return nil
	}
	at := serversAt + strconv.FormatInt(int64(lease), 16)
	if _, err := k.config.Client.Put(ctx, at, string(data), clientv3.WithLease(lease)); err != nil {
		return fmt.Errorf("reporting to the store: %w", err)
	}
	*reported = string(data)
	return nil
}
