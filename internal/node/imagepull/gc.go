package imagepull

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/wait"
)

// Upstream's period, and how long an image is kept after it has come.
const (
	collectPeriod = 5 * time.Minute
	minAge        = 2 * time.Minute
)

// Upstream's defaults of what an operator may set, see Config and CollectorConfig.
const (
	DefaultParallel = 5
	DefaultHigh     = 85
	DefaultLow      = 80
)

// Disk is how full the file system of the images is, in bytes.
type Disk struct{ Used, Size uint64 }

// percent is how full it is, rounded down.
func (d Disk) percent() int {
	if d.Size == 0 {
		return 0
	}
	return int(float64(d.Used) / float64(d.Size) * 100)
}

// Stock is what is on the container runtime, see cri.Client.
type Stock interface {
	ListImages(ctx context.Context) ([]cri.Image, error)
	ListContainers(ctx context.Context, f cri.Filter) ([]cri.Container, error)
	RemoveImage(ctx context.Context, id string) error
}

// CollectorConfig is what a Collector needs; all is required but Imported.
type CollectorConfig struct {
	Stock Stock
	Disk  func(ctx context.Context) (Disk, error)
	// Imported says whether an image was imported, and so cannot be pulled again; nil
	// on a runtime that somebody else runs.
	Imported func(ctx context.Context, ref string) (bool, error)
	// Used, unless nil, are the IDs of images in use by others than containers.
	Used    func() []string
	Records *Records
	// High is how full the disk may become, in percent, before images are removed, and
	// Low how full it may be afterwards. A High of 100 removes none.
	High, Low int
	// Failed tells of room that could not be made, and Short that it was not enough.
	Failed, Short func(message string)
	Clock         clock.Wall
	Log           *slog.Logger
}

// Collector removes images that nobody uses when the disk is full.
type Collector struct {
	cfg CollectorConfig
	// seen are the images by ID. They belong to the goroutine of Run.
	seen map[string]*seen
}

// seen is when an image was first there, and last in use.
type seen struct{ first, used time.Time }

// NewCollector returns a Collector.
func NewCollector(cfg CollectorConfig) *Collector {
	return &Collector{cfg: cfg, seen: map[string]*seen{}}
}

// Run looks now and then until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	for {
		if err := c.collect(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("images not collected", "error", err)
			c.cfg.Failed(err.Error())
		}
		if !wait.Pause(ctx, c.cfg.Clock, collectPeriod) {
			return
		}
	}
}

// collect removes images if the disk is too full.
func (c *Collector) collect(ctx context.Context) error {
	unused, err := c.look(ctx)
	if err != nil || c.cfg.High >= 100 {
		return err
	}
	disk, err := c.cfg.Disk(ctx)
	if err != nil || disk.Size == 0 || disk.percent() < c.cfg.High {
		return err
	}
	goal := disk.Used - min(disk.Used, disk.Size/100*uint64(c.cfg.Low))
	c.cfg.Log.Info("disk of images is filling", "percent", disk.percent(), "high", c.cfg.High, "unused", len(unused))
	freed := c.free(ctx, unused, goal)
	if freed < goal && ctx.Err() == nil {
		c.cfg.Short(fmt.Sprintf("Insufficient free disk space on the node's image filesystem (%d%% of %s used). "+
			"Failed to free sufficient space by deleting unused images (freed %d bytes). Investigate disk usage, as it could be used by active images, logs, or other data.",
			disk.percent(), plain.Bytes(int64(disk.Size)), freed))
	}
	return nil
}

// look notes what is there and in use, and returns what nobody uses, the longest unused
// first.
func (c *Collector) look(ctx context.Context) ([]cri.Image, error) {
	// The containers first: an image that comes in between is in no list.
	containers, err := c.cfg.Stock.ListContainers(ctx, cri.Filter{})
	if err != nil {
		return nil, err
	}
	images, err := c.cfg.Stock.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	now := c.cfg.Clock.Now()
	used := map[string]bool{}
	for _, k := range containers {
		used[k.Image], used[k.ImageRef] = true, true
	}
	if c.cfg.Used != nil {
		for _, id := range c.cfg.Used() {
			used[id] = true
		}
	}
	before := c.seen
	c.seen = map[string]*seen{}
	var unused []cri.Image
	for _, i := range images {
		s := before[i.ID]
		if s == nil {
			s = &seen{first: now}
		}
		c.seen[i.ID] = s
		names := slices.Concat([]string{i.ID}, i.Tags, i.Digests)
		if slices.ContainsFunc(names, func(n string) bool { return used[n] }) {
			s.used = now
			continue
		}
		if !i.Pinned && now.Sub(s.first) >= minAge {
			unused = append(unused, i)
		}
	}
	slices.SortStableFunc(unused, func(a, b cri.Image) int {
		return cmp.Or(c.seen[a.ID].used.Compare(c.seen[b.ID].used), c.seen[a.ID].first.Compare(c.seen[b.ID].first))
	})
	return unused, nil
}

// free removes images until so many bytes are free, and returns how many are.
func (c *Collector) free(ctx context.Context, unused []cri.Image, goal uint64) (freed uint64) {
	for _, i := range unused {
		if freed >= goal || ctx.Err() != nil {
			break
		}
		if c.kept(ctx, i) {
			continue
		}
		if err := c.cfg.Stock.RemoveImage(ctx, i.ID); err != nil {
			c.cfg.Log.Warn("image not removed", "image", i.ID, "error", err)
			continue
		}
		c.cfg.Records.Removed(i.ID)
		delete(c.seen, i.ID)
		freed += i.Size
		c.cfg.Log.Info("image removed, the disk is full", "image", i.ID, "names", strings.Join(i.Tags, ","), "bytes", i.Size)
	}
	return freed
}

// kept says whether one of an image's names was imported, or may have been. On a runtime
// that is not ours alone only what this agent has pulled may go.
func (c *Collector) kept(ctx context.Context, i cri.Image) bool {
	if c.cfg.Imported == nil {
		known, err := c.cfg.Records.find(i.ID, "")
		return err != nil || known.record == nil
	}
	// The sandbox image of all pods has a digest and no tag; no container uses it.
	for _, name := range slices.Concat(i.Tags, i.Digests) {
		if imported, err := c.cfg.Imported(ctx, name); err != nil || imported {
			return true
		}
	}
	return false
}
