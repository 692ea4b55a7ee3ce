package reserve

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/wait"
)

const (
	// lookEvery is how often the file system is looked at: a call that takes microseconds.
	lookEvery = time.Second
	// relieveEvery is how long a pod that is ended has to give back what it took, before
	// the next is looked for; holdOn how long the reserve is held meanwhile, since the pod
	// would take that too. Where none was found it is looked again after searchEvery.
	relieveEvery, searchEvery, holdOn = 10 * time.Second, 2 * time.Second, 3 * time.Second
)

// Config of a Keeper. All fields but Want and Relieve are required.
type Config struct {
	Reserve Reserve
	// Want is how much is kept; nil leaves it to Default. An amount of nothing keeps
	// nothing; the file system is looked at all the same.
	Want *Amount
	// Relieve, unless nil, ends who took most of a full file system, and tells whether it
	// found somebody. room is what is left, wanted what should be.
	Relieve func(ctx context.Context, room machine.Room, wanted Amount) bool
	// Changed, unless nil, is called when the file system has become full, or not full any
	// more.
	Changed func()
	Clock   clock.Wall
	Log     *slog.Logger
}

// Keeper holds a reserve while the file system has room, and gives it back when it is
// full.
type Keeper struct {
	cfg     Config
	full    bool
	relieve time.Time // when somebody is next looked for
	ending  time.Time // when somebody was last found
	failed  bool      // the reserve could not be taken, which was said
}

// NewKeeper makes a Keeper, which has taken nothing yet.
func NewKeeper(cfg Config) *Keeper { return &Keeper{cfg: cfg} }

// Run looks at the file system once a second until ctx ends, the first time after a
// second: a start that writes would wait for the disk while the reserve is made. The
// reserve stays.
func (k *Keeper) Run(ctx context.Context) error {
	for wait.Pause(ctx, k.cfg.Clock, lookEvery) {
		k.look(ctx)
	}
	return nil
}

// amounts are what is kept, and by what a full file system is told: a user who keeps
// nothing has a full one all the same.
func (k *Keeper) amounts(room machine.Room) (keep, mark Amount) {
	mark = Default(room)
	if k.cfg.Want != nil {
		return *k.cfg.Want, mark
	}
	return mark, mark
}

func (k *Keeper) look(ctx context.Context) {
	room, err := machine.RoomOf(filepath.Dir(k.cfg.Reserve.dir))
	if err != nil {
		k.cfg.Log.Debug("disk not measured", "error", err)
		return
	}
	keep, mark := k.amounts(room)
	switch short := mark.Short(room); {
	case short:
		k.short(ctx, room, mark)
	case k.full && (!k.cfg.Reserve.Held() && !keep.fits(room)):
		// There is a little again, but not yet enough to be safe.
	default:
		k.enough(room, keep)
	}
}

// short does what keeps the system alive on a full file system.
func (k *Keeper) short(ctx context.Context, room machine.Room, mark Amount) {
	now := k.cfg.Clock.Now()
	if !k.full {
		k.full = true
		k.cfg.Log.Error("the disk of the data directory is full: remove what is not needed on it (pods, `laterna image rm`, files of others)",
			"directory", filepath.Dir(k.cfg.Reserve.dir), "bytes", room.Bytes, "inodes", room.Inodes)
		k.changed()
	}
	if k.cfg.Relieve != nil && !now.Before(k.relieve) {
		k.relieve = now.Add(searchEvery)
		if k.cfg.Relieve(ctx, room, mark) {
			k.ending, k.relieve = now, now.Add(relieveEvery)
		}
	}
	if !k.cfg.Reserve.Held() || !k.ending.IsZero() && now.Sub(k.ending) < holdOn {
		return
	}
	if err := k.cfg.Reserve.Release(); err != nil {
		k.cfg.Log.Error("the reserve of the disk cannot be used", "error", err)
		return
	}
	k.cfg.Log.Warn("the reserve of the disk is in use now, so that the system goes on")
}

// enough takes the reserve where it is not taken.
func (k *Keeper) enough(room machine.Room, keep Amount) {
	if k.full {
		k.full, k.relieve, k.ending = false, time.Time{}, time.Time{}
		k.cfg.Log.Info("the disk of the data directory has room again", "bytes", room.Bytes, "inodes", room.Inodes)
		defer k.changed()
	}
	if keep == (Amount{}) {
		if err := k.cfg.Reserve.Release(); err != nil {
			k.cfg.Log.Warn("the reserve of the disk is not given back", "error", err)
		}
		return
	}
	if k.cfg.Reserve.Held() || !keep.fits(room) {
		return
	}
	err := k.cfg.Reserve.Keep(keep)
	if err != nil && !k.failed {
		k.cfg.Log.Warn("there is no reserve for a full disk", "error", err)
	}
	k.failed = err != nil
}

func (k *Keeper) changed() {
	if k.cfg.Changed != nil {
		k.cfg.Changed()
	}
}
