package encryption

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// reportEvery is the time between two records of progress.
	reportEvery = 500 * time.Millisecond
	// passes is how often values are written again before it is accepted that some
	// stay stale, as those of a KMS plugin may whose key changes all the time.
	passes = 3
)

// take makes this server the one that carries the rotation out; it reports false while
// another is. One that has died is followed by its own next life at once, by others when
// its lease ends. Two at a time do no harm, but the work twice.
func (k *Keeper) take(ctx context.Context, lease clientv3.LeaseID) (bool, error) {
	put := clientv3.OpPut(leaderKey, k.config.Server, clientv3.WithLease(lease))
	free := clientv3.Compare(clientv3.CreateRevision(leaderKey), "=", 0)
	resp, err := k.config.Client.Txn(ctx).If(free).Then(put).Else(clientv3.OpGet(leaderKey)).Commit()
	if err != nil {
		return false, fmt.Errorf("becoming the leader of the rotation: %w", err)
	}
	if resp.Succeeded {
		return true, nil
	}
	held := resp.Responses[0].GetResponseRange().Kvs
	if len(held) == 0 || string(held[0].Value) != k.config.Server {
		return false, nil
	}
	if held[0].Lease == int64(lease) {
		return true, nil
	}
	same := clientv3.Compare(clientv3.ModRevision(leaderKey), "=", held[0].ModRevision)
	if resp, err = k.config.Client.Txn(ctx).If(same).Then(put).Commit(); err != nil {
		return false, fmt.Errorf("becoming the leader of the rotation: %w", err)
	}
	return resp.Succeeded, nil
}

// carry does the next step of a rotation. It returns when to be called again if
// nothing changes in the store, 0 for never.
func (k *Keeper) carry(ctx context.Context, r *Rotation, rev int64) (again time.Duration, err error) {
	servers, err := k.servers(ctx)
	if err != nil {
		return 0, err
	}
	if r.State == Distributing {
		var lack []string
		for _, s := range servers {
			if !s.has(r.Key) {
				lack = append(lack, s.Name)
			}
		}
		if len(lack) > 0 {
			return 0, k.tell(ctx, r, rev, fmt.Sprintf("copy the key file to these servers, which do not have %s: %s", r.Key.Name, strings.Join(lack, ", ")))
		}
		r.State, r.Message = Rewriting, ""
		_, err := k.store(ctx, r, rev)
		return 0, err
	}
	var others []string
	for _, s := range servers {
		if len(r.Old) > 0 && !s.writes(r.Key) {
			others = append(others, s.Name)
		}
	}
	if len(others) > 0 {
		k.settled = time.Time{}
		return 0, k.tell(ctx, r, rev, fmt.Sprintf("waiting for servers to write with %s: %s", r.Key.Name, strings.Join(others, ", ")))
	}
	if k.settled.IsZero() {
		k.settled = k.config.Clock.Now().Add(k.config.Settle)
	}
	return k.finish(ctx, r, rev)
}

// finish writes values again and, when no write with an old key can be on its way and
// a look at the whole store proves that nothing is sealed with one, ends the rotation.
func (k *Keeper) finish(ctx context.Context, r *Rotation, rev int64) (again time.Duration, err error) {
	rev, err = k.pass(ctx, r, rev)
	if err != nil {
		return 0, err
	}
	if wait := k.settled.Sub(k.config.Clock.Now()); wait > 0 && len(r.Old) > 0 {
		return wait, k.tell(ctx, r, rev, fmt.Sprintf("everything is rewritten; %s is kept until %s, since requests that began earlier may still use it", strings.Join(r.Old, ", "), k.settled.UTC().Format(time.RFC3339)))
	}
	found, err := k.survey(ctx)
	if err != nil {
		return 0, err
	}
	k.passes++
	if found.left(r) > 0 || found.Stale > 0 && k.passes < passes {
		return time.Second, nil
	}
	if len(r.Old) > 0 {
		if err := k.config.Box.Remove(r.Old); err != nil {
			return 0, err
		}
	}
	now := k.config.Clock.Now().UTC()
	r.State, r.Completed, r.Message = Complete, &now, ""
	if len(found.Unreadable) > 0 {
		r.Message = "values that no key decrypts were left as they are: " + strings.Join(found.Unreadable, ", ")
		k.config.Log.Warn("values of the store cannot be decrypted", "at", found.Unreadable)
	}
	if _, err := k.store(ctx, r, rev); err != nil {
		return 0, err
	}
	k.config.Log.Info("the store is encrypted with the new key alone", "key", r.Key.Name, "rewritten", r.Rewritten, "removed", r.Old)
	_, err = k.config.Client.Delete(ctx, leaderKey)
	return 0, err
}

// pass writes values again and records how many were.
func (k *Keeper) pass(ctx context.Context, r *Rotation, rev int64) (int64, error) {
	last, before := k.config.Clock.Now(), r.Rewritten
	err := k.rewrite(ctx, func() (err error) {
		r.Rewritten++
		if k.config.Clock.Since(last) < reportEvery {
			return nil
		}
		last, r.Message = k.config.Clock.Now(), "writing values again"
		k.config.Log.Info("values of the store are written again", "key", r.Key.Name, "rewritten", r.Rewritten)
		rev, err = k.store(ctx, r, rev)
		return err
	})
	if err == nil && r.Rewritten > before {
		rev, err = k.store(ctx, r, rev)
	}
	return rev, err
}

// tell records what is waited for, if that is news.
func (k *Keeper) tell(ctx context.Context, r *Rotation, rev int64, message string) error {
	if r.Message == message {
		return nil
	}
	r.Message = message
	k.config.Log.Info("encryption of the store waits", "for", message)
	_, err := k.store(ctx, r, rev)
	return err
}
