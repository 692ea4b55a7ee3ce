package imagepull

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/cri"
)

// stock is a runtime with images of 10 bytes on a disk of 100.
type stock struct {
	images  []cri.Image
	running []cri.Container
	removed []string
	other   uint64 // what else is on the disk
}

func (s *stock) ListImages(context.Context) ([]cri.Image, error) { return slices.Clone(s.images), nil }

func (s *stock) ListContainers(context.Context, cri.Filter) ([]cri.Container, error) {
	return s.running, nil
}

func (s *stock) RemoveImage(_ context.Context, id string) error {
	s.removed = append(s.removed, id)
	s.images = slices.DeleteFunc(s.images, func(i cri.Image) bool { return i.ID == id })
	return nil
}

func (s *stock) disk(context.Context) (Disk, error) {
	return Disk{Used: s.other + 10*uint64(len(s.images)), Size: 100}, nil
}

func (s *stock) add(ids ...string) {
	for _, id := range ids {
		s.images = append(s.images, cri.Image{ID: id, Tags: []string{id + ":1"}, Size: 10})
	}
}

func collector(t *testing.T, s *stock, dir string) (*Collector, *[]string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	records, err := OpenRecords(root)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	note := func(message string) { told = append(told, message) }
	return NewCollector(CollectorConfig{
		Stock: s, Disk: s.disk, Records: records, High: 85, Low: 60, Failed: note, Short: note, Clock: clock.Real(),
		Imported: func(_ context.Context, ref string) (bool, error) {
			return ref == "imported:1" || ref == "pause@sha256:1", nil
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}), &told
}

func TestUnusedImagesGoTheLongestUnusedFirst(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{other: 10}
		c, told := collector(t, s, dir)
		look := func() {
			t.Helper()
			if err := c.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(collectPeriod)
		}
		s.add("late", "early", "used", "imported")
		s.images = append(s.images, cri.Image{ID: "pinned", Pinned: true, Size: 10}, cri.Image{ID: "sandbox", Digests: []string{"pause@sha256:1"}})
		s.running = []cri.Container{{Image: "used"}, {ImageRef: "early:1"}, {Image: "late"}}
		look()
		s.running = []cri.Container{{Image: "used"}, {Image: "late"}}
		look()
		s.running = []cri.Container{{Image: "used"}}
		look()
		if len(s.removed) != 0 {
			t.Fatalf("removed %q while there is room", s.removed)
		}
		s.add("new") // too young to go
		s.other += 10
		look()
		if want := []string{"early", "late"}; !slices.Equal(s.removed, want) {
			t.Errorf("removed %q, want %q", s.removed, want)
		}
		// 70 of 100 are used, 60 was the goal.
		if len(*told) != 1 {
			t.Errorf("told %q", *told)
		}
	})
}

func TestImagesOfAForeignRuntimeStayUnlessWePulledThem(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{other: 80}
		s.add("theirs", "ours")
		c, _ := collector(t, s, dir)
		c.cfg.Imported = nil
		if err := c.cfg.Records.Pulled("ours", "ours:1", nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(collectPeriod)
		}
		if !slices.Equal(s.removed, []string{"ours"}) {
			t.Errorf("removed %q", s.removed)
		}
	})
}

// TestImagesOfVolumesAreInUse: no container runs them.
func TestImagesOfVolumesAreInUse(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{other: 80}
		c, _ := collector(t, s, dir)
		c.cfg.Used = func() []string { return []string{"volume"} }
		s.add("volume", "other")
		for range 2 {
			if err := c.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(collectPeriod)
		}
		if !slices.Equal(s.removed, []string{"other"}) {
			t.Errorf("removed %q", s.removed)
		}
	})
}
