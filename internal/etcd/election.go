package etcd

import (
	"context"
	"expvar"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"laterna.dev/laterna/internal/clock"
)

// campaignPause is the pause between attempts to become the leader.
const campaignPause = time.Millisecond

// elections serialises the elections of all servers of the process: etcd publishes
// only the state of the raft that was made last.
var elections sync.Mutex

// campaign makes the only member the leader at once, by the message with which a
// leader hands over to it, instead of waiting up to two seconds for a leader that
// cannot be. It returns when there is a leader, the server has stopped or ctx has ended.
func campaign(ctx context.Context, s *etcdserver.EtcdServer, clk clock.Wall) {
	id := uint64(s.MemberID())
	message := &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &id, To: &id}
	again := clk.NewTicker(campaignPause)
	defer again.Stop()
	for s.Lead() == raft.None {
		if settled() {
			if err := s.Process(ctx, message); err != nil {
				return
			}
		}
		select {
		case <-again.C():
		case <-s.StopNotify():
			return
		case <-ctx.Done():
			return
		}
	}
}

// settled tells whether raft knows that everything committed is applied. Before
// that it panics when it campaigns while etcd shortens the log, and after a fresh
// start it refuses.
func settled() bool {
	status, ok := raftStatus()
	return ok && status.HardState != nil && status.Applied >= status.GetCommit()
}

func raftStatus() (raft.Status, bool) {
	f, ok := expvar.Get("raft.status").(expvar.Func)
	if !ok {
		return raft.Status{}, false
	}
	status, ok := f.Value().(raft.Status)
	return status, ok
}

// checkLog returns an error when the log of the leader s ends before the entry that the
// database has applied: its end is lost, and what it will write next would be taken for
// applied. It is called before anybody writes.
func checkLog(s *etcdserver.EtcdServer, applied uint64) error {
	status, ok := raftStatus()
	if !ok || status.HardState == nil || status.RaftState != raft.StateLeader {
		return nil
	}
	last := max(status.GetCommit(), status.Progress[uint64(s.MemberID())].Match)
	if last >= applied {
		return nil
	}
	return fmt.Errorf("its log ends with entry %d, its database holds entry %d", last, applied)
}
