package publish

import (
	"fmt"
	"math"
	"os"
	"path"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/projection/atomicdir"
)

const (
	// leastRoom is what the content of a pod's volumes may take however low its memory
	// limit is, in bytes. A token and what belongs to it take some pages.
	leastRoom = 1 << 20
	// mostEntries bounds the files and directories of a pod's content, since those
	// without bytes take memory of the kernel's too, about a kibibyte each.
	mostEntries = 65_536
	// smallRoom is what a volume may take, in bytes, that fits whatever others take: the
	// volume with the pod's token must not depend on them. All of these together have
	// leastRoom of their own.
	smallRoom = 64 << 10
)

// room is what content takes of a tmpfs.
type room struct {
	bytes   int64 // of pages
	entries int64 // files and directories
}

func (r room) plus(o room) room { return room{r.bytes + o.bytes, r.entries + o.entries} }

func (r room) within(o room) bool { return r.bytes <= o.bytes && r.entries <= o.entries }

func (r room) String() string {
	return fmt.Sprintf("%s in %d files and directories", resource.NewQuantity(r.bytes, resource.BinarySI), r.entries)
}

// roomOf is what one generation of tree takes.
func roomOf(tree atomicdir.Tree) (r room) {
	seen := map[string]bool{}
	for i := range tree.Files {
		f := &tree.Files[i]
		r = r.plus(room{Pages(int64(len(f.Data))), 1})
		if !strings.Contains(f.Path, "/") {
			continue
		}
		for dir := path.Dir(path.Clean(f.Path)); dir != "." && dir != "/" && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			r.entries++
		}
	}
	return r
}

// Pages rounds up to pages, as tmpfs does.
func Pages(n int64) int64 {
	page := int64(os.Getpagesize())
	return (n + page - 1) / page * page
}

// allowance is what the content of all volumes of a pod may take together, in one
// generation of each, and why.
type allowance struct {
	room
	because string
}

// allowanceOf is the pod's memory limit or what the node has, as the size of an emptyDir
// in memory is (kubelet, pkg/volume/emptydir). The kubelet gives it to each volume by
// itself, so that a pod with many volumes holds many times its limit.
func allowanceOf(spec *corev1.Pod, allocatable corev1.ResourceList) allowance {
	a := allowance{room{allocatable.Memory().Value(), 0}, "the node's allocatable memory"}
	if limit := MemoryLimit(spec); limit > 0 && (a.bytes <= 0 || limit < a.bytes) {
		a.bytes, a.because = limit, "the memory limit of the pod"
	}
	switch {
	case a.bytes <= 0: // nobody knows
		a.bytes = math.MaxInt64 / 4
	case a.bytes < leastRoom:
		a.bytes, a.because = leastRoom, a.because+", which is less than every pod may have"
	}
	a.entries = min(a.bytes/int64(os.Getpagesize()), mostEntries)
	return a
}

// Allowance is what the content of all volumes of a pod may take together, in one
// generation of each: bytes of whole pages, and entries, which are files and directories.
func Allowance(spec *corev1.Pod, allocatable corev1.ResourceList) (bytes, entries int64) {
	a := allowanceOf(spec, allocatable)
	return a.bytes, a.entries
}

// MemoryLimit is what the containers of a pod may use together, in bytes; 0 is no limit.
// Without a limit of the pod's own there is one only where every container has one, also
// each init container, as in the kubelet (pkg/kubelet/cm, ResourceConfigForPod).
func MemoryLimit(spec *corev1.Pod) int64 {
	if spec.Spec.Resources == nil || spec.Spec.Resources.Limits.Memory().IsZero() {
		for _, c := range podfields.DeclaredContainers(&spec.Spec) {
			if c.Resources.Limits.Memory().IsZero() {
				return 0
			}
		}
	}
	limits := resourcehelper.PodLimits(spec, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
	return limits.Memory().Value()
}

// taken is what the content of each of a pod's volumes takes.
type taken struct {
	mu      sync.Mutex
	volumes map[string]room
}

// reserve notes what a volume is going to show, or tells why that is too much. What
// takes no more than before is never too much.
func (t *taken) reserve(volume string, wants room, a allowance) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.volumes[volume]
	delete(t.volumes, volume)
	others := t.sum(room{})
	if !t.sum(wants).within(a.room) && !(known && wants.within(before)) {
		if known {
			t.volumes[volume] = before
		}
		return noRoom(wants, others, a)
	}
	if t.volumes == nil {
		t.volumes = map[string]room{}
	}
	t.volumes[volume] = wants
	return nil
}

// sum is what the volumes take together with one more, beyond what small ones have of
// their own.
func (t *taken) sum(more room) room {
	page := int64(os.Getpagesize())
	small := room{-leastRoom, -leastRoom / page}
	var large room
	add := func(r room) {
		if r.within(room{smallRoom, smallRoom / page}) {
			small = small.plus(r)
		} else {
			large = large.plus(r)
		}
	}
	for _, r := range t.volumes {
		add(r)
	}
	add(more)
	return large.plus(room{max(small.bytes, 0), max(small.entries, 0)})
}

func noRoom(wants, others room, a allowance) error {
	beside := ""
	if others != (room{}) {
		beside = fmt.Sprintf(" beside the %s of the pod's other volumes", others)
	}
	return fmt.Errorf("its content takes %s, which does not fit%s: volumes of the pod that show API objects may take %s together, because of %s; raise the memory limits of the pod's containers or show less", wants, beside, a.room, a.because)
}
