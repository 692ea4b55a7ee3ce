package stdio

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// drainTime bounds the wait for the end of a stream; containerd's shim gives a container
// 2 s between its end and the end of its streams.
const drainTime = 3 * time.Second

// keeper holds the second readers of all containers that have not ended.
type keeper struct {
	cfg Config
	// closed tells when containerd has let go of a container's streams; nil where the
	// machine has no inotify instance left: then they are emptied a little later.
	closed *fsnotify.Watcher

	mu sync.Mutex
	// held is by container ID, dirs by the directory whose pipes containerd removes once
	// it has closed them.
	held, dirs map[string]*container
}

// container is what is held of one.
type container struct {
	dir     string
	streams []*stream
	drain   sync.Once
	drained chan struct{}
}

func newKeeper(ctx context.Context, cfg Config) *keeper {
	k := &keeper{cfg: cfg, held: map[string]*container{}, dirs: map[string]*container{}}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		cfg.Log.Warn("the last output of containers may be lost: their streams are not watched", "err", err)
		return k
	}
	k.closed = watcher
	context.AfterFunc(ctx, func() { watcher.Close() })
	go k.watch(watcher)
	return k
}

// watch empties streams that containerd has closed, until the watcher is closed.
func (k *keeper) watch(watcher *fsnotify.Watcher) {
	for e := range watcher.Events {
		if !e.Has(fsnotify.Remove) {
			continue
		}
		k.mu.Lock()
		c := k.dirs[filepath.Dir(e.Name)] // which itself lives on as long as its pipes are open
		k.mu.Unlock()
		if c != nil {
			go c.empty(k.cfg.Wall.Now)
		}
	}
}

// hold opens a container's streams, unless they are held.
func (k *keeper) hold(id string) {
	k.mu.Lock()
	c := k.held[id]
	k.mu.Unlock()
	if c != nil {
		return
	}
	dir, streams, err := open(filepath.Join(k.cfg.Dir, id, "io"), id)
	if err != nil {
		k.cfg.Log.Debug("streams of a container not held", "container", id, "err", err)
		return
	}
	c = &container{dir: dir, streams: streams, drained: make(chan struct{})}
	k.mu.Lock()
	other := k.held[id]
	if other == nil {
		k.held[id], k.dirs[dir] = c, c
	}
	k.mu.Unlock()
	if other != nil {
		c.close()
		return
	}
	// Not with the lock, which watch takes while the watcher waits for it.
	if k.closed != nil && k.closed.Add(dir) != nil {
		go c.empty(k.cfg.Wall.Now) // closed meanwhile
	}
}

// release forgets a container.
func (k *keeper) release(id string) *container {
	k.mu.Lock()
	c := k.held[id]
	if c != nil {
		delete(k.held, id)
		delete(k.dirs, c.dir)
	}
	k.mu.Unlock()
	if c != nil && k.closed != nil {
		k.closed.Remove(c.dir) // an error says that it is gone
	}
	return c
}

// ended adds to the log what was left in the streams of a container that has ended.
func (k *keeper) ended(id, logPath string) {
	c := k.release(id)
	if c == nil {
		return
	}
	c.empty(k.cfg.Wall.Now)
	<-c.drained
	if err := appendTo(k.cfg.Logs, k.cfg.LogRoot, logPath, c.streams); err != nil {
		k.cfg.Log.Warn("the last output of a container is not in its log", "container", id, "err", err)
	}
}

// drop lets go of a container that was removed.
func (k *keeper) drop(id string) {
	if c := k.release(id); c != nil {
		c.close()
	}
}

// close lets go of the streams, whatever is in them.
func (c *container) close() {
	c.drain.Do(func() {
		defer close(c.drained)
		for _, s := range c.streams {
			s.file.Close()
		}
	})
}

// empty reads what is left in the streams and closes them, once.
func (c *container) empty(now func() time.Time) {
	c.drain.Do(func() {
		defer close(c.drained)
		var all sync.WaitGroup
		for _, s := range c.streams {
			all.Go(func() { s.empty(now) })
		}
		all.Wait()
	})
}
