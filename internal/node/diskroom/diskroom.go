package diskroom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/node/admit"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/containerd"
)

const (
	// measureTime bounds the measuring of all pods while the disk is full.
	measureTime = 5 * time.Second
	// noticeableBytes and noticeableFiles are the least that a pod must have on the disk
	// beyond its request for its end to be of use.
	noticeableBytes, noticeableFiles = 1 << 20, 64
)

// Config is what room is made from.
type Config struct {
	Pods []Pod
	// Containerd is the socket of the containerd whose layers are measured, "" where there
	// is another runtime: its layers are not known and count as nothing.
	Containerd string
	// PodRoot is the directory of the pods' volumes, LogRoot that of their logs.
	PodRoot, LogRoot string
	Log              *slog.Logger
}

// Pod is a pod that has something on the disk.
type Pod struct {
	*corev1.Pod
	// Ended says that it only keeps what its logs need.
	Ended bool
	// Containers has the names of its containers on the runtime, by ID.
	Containers map[string]string
	// Evict ends the pod and removes what it has on the disk. The message is empty for one
	// that has ended by itself.
	Evict func(message string)
}

// PodsOf are the pods of workers but for those that are about to go anyway.
func PodsOf(workers []*podworker.Worker) (all []Pod) {
	for _, w := range workers {
		s := w.Snapshot()
		if s.Gone || s.API.DeletionTimestamp != nil {
			continue
		}
		p := Pod{Pod: s.API, Ended: lifecycle.Final(s.Reported().Status.Phase), Containers: map[string]string{}, Evict: w.EvictForRoom}
		for _, c := range s.Runtime.Containers {
			p.Containers[c.ID] = c.Name
		}
		all = append(all, p)
	}
	return all
}

// use is what a directory takes of the disk.
type use struct{ bytes, files int64 }

func (u use) plus(v use) use { return use{u.bytes + v.bytes, u.files + v.files} }

// taken is what a pod has on the disk.
type taken struct {
	Pod
	sum        use
	containers map[string]use // layers and logs, by name
}

// shortage is what the disk has too little of: bytes, or inodes.
type shortage struct {
	files        bool
	left, wanted int64
}

func shortOf(room machine.Room, wanted reserve.Amount) shortage {
	if wanted.ShortOfFiles(room) {
		return shortage{true, int64(room.Inodes), int64(wanted.Files)}
	}
	return shortage{false, int64(room.Bytes), int64(wanted.Bytes)}
}

func (s shortage) of(u use) int64 {
	if s.files {
		return u.files
	}
	return u.bytes
}

// over is what a pod has beyond what it asked for, 0 when that is little.
func (s shortage) over(t *taken) int64 {
	over, least := s.of(t.sum)-requested(t.Pod.Pod), int64(noticeableBytes)
	if s.files { // nobody can ask for them
		over, least = s.of(t.sum), noticeableFiles
	}
	if over < least {
		return 0
	}
	return over
}

// Relieve ends the pod that has most on the full disk beyond what it asked for, and tells
// whether there is one; what ended pods keep there for their logs goes first.
func Relieve(ctx context.Context, c Config, room machine.Room, wanted reserve.Amount) bool {
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	short, all, found := shortOf(room, wanted), c.measureAll(ctx), false
	for _, t := range all {
		if t.Ended && short.over(t) > 0 {
			t.Evict("")
			found = true
		}
	}
	if found {
		return true
	}
	victim := short.mostOver(all)
	if victim == nil {
		return false
	}
	c.Log.Warn("evicting the pod that has most on the full disk", "namespace", victim.Namespace, "pod", victim.Name, "bytes", victim.sum.bytes, "files", victim.sum.files)
	victim.Evict(short.message(victim))
	return true
}

// mostOver is the pod to evict, nil when none has much beyond its request. Critical pods
// are left.
func (s shortage) mostOver(all []*taken) *taken {
	candidates := slices.DeleteFunc(slices.Clone(all), func(t *taken) bool {
		return t.Ended || admit.Critical(t.Pod.Pod) || s.over(t) == 0
	})
	if len(candidates) == 0 {
		return nil
	}
	return slices.MaxFunc(candidates, func(x, y *taken) int { return cmp.Compare(s.over(x), s.over(y)) })
}

// message is upstream's.
func (s shortage) message(t *taken) string {
	name, amount := "inodes", func(n int64) string { return resource.NewQuantity(n, resource.DecimalSI).String() }
	if !s.files {
		name, amount = string(corev1.ResourceEphemeralStorage), func(n int64) string { return resource.NewQuantity(n>>10<<10, resource.BinarySI).String() }
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The node was low on resource: %s. Threshold quantity: %s, available: %s. ", name, amount(s.wanted), amount(s.left))
	for _, c := range t.Spec.Containers {
		request := resource.Quantity{}
		if !s.files {
			request = c.Resources.Requests[corev1.ResourceEphemeralStorage]
		}
		if used := s.of(t.containers[c.Name]); used > request.Value() {
			fmt.Fprintf(&b, "Container %s was using %s, request is %s, has larger consumption of %s. ", c.Name, amount(used), request.String(), name)
		}
	}
	return b.String()
}

// measureAll measures what each pod has on the disk: layers of its containers, emptyDirs
// and logs. What cannot be measured counts as nothing.
func (c Config) measureAll(ctx context.Context) []*taken {
	layers := map[string]string{}
	if c.Containerd != "" {
		var err error
		if layers, err = containerd.WritableLayers(ctx, c.Containerd); err != nil {
			c.Log.Warn("layers of containers not measured", "error", err)
		}
	}
	var all []*taken
	for _, p := range c.Pods {
		t := &taken{Pod: p, containers: map[string]use{}}
		for id, name := range p.Containers {
			t.containers[name] = t.containers[name].plus(c.measure(ctx, layers[id], ""))
		}
		logs := filepath.Join(c.LogRoot, runspec.LogDir("", p.Namespace, p.Name, string(p.UID)))
		for _, spec := range podfields.Containers(&p.Spec) {
			t.containers[spec.Name] = t.containers[spec.Name].plus(c.measure(ctx, logs, spec.Name))
		}
		for _, used := range t.containers {
			t.sum = t.sum.plus(used)
		}
		// emptyDirs: what lies on a tmpfs is another file system and does not count.
		t.sum = t.sum.plus(c.measure(ctx, filepath.Join(c.PodRoot, string(p.UID)), ""))
		all = append(all, t)
	}
	return all
}

// measure is what a directory takes, or one below it.
func (c Config) measure(ctx context.Context, path, below string) use {
	if path == "" {
		return use{}
	}
	dir, err := rootfd.Open(path)
	if err != nil {
		return use{}
	}
	defer dir.Close()
	if below != "" {
		sub, err := dir.Sub(below)
		if err != nil {
			return use{}
		}
		defer sub.Close()
		dir = sub
	}
	bytes, files, err := dir.Taken(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Log.Debug("disk use of a pod measured in part", "directory", path, "error", err)
	}
	return use{bytes, files}
}

// requested is how much of the disk a pod has asked for, in bytes.
func requested(pod *corev1.Pod) int64 {
	q := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceEphemeralStorage]
	return q.Value()
}
