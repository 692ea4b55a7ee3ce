package job

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// play is a job and its pods as they are stored, and a controller that may end after each
// of its writes.
type play struct {
	*testing.T
	random *rand.Rand
	job    *batchv1.Job
	pods   []*corev1.Pod
	made   int
	now    time.Time
	// ended are the pods that ended, and how; by index where there are some.
	succeeded, failed map[string]bool
}

// look is one look of the controller at what is stored. It ends after so many writes.
func (p *play) look(writes int) {
	write := func(do func()) bool {
		if writes == 0 {
			return false
		}
		writes--
		do()
		return true
	}
	l := &look{job: p.job.DeepCopy(), pods: slices.Clone(p.pods), now: p.now, ended: endOf}
	l.begin(&l.job.Status)
	l.see()
	plan := l.decide()
	d := done{}
	for _, pod := range plan.remove {
		if !write(func() { p.remove(pod, plan.end == nil) }) {
			return
		}
		d.removed++
	}
	if plan.end != nil {
		d.end = plan.end
	}
	for _, pod := range plan.create {
		if !write(func() { p.create(pod) }) {
			return
		}
		d.created++
	}
	a := l.account(d)
	if !write(func() { p.job.Status = a.status }) {
		return
	}
	let := map[types.UID]bool{}
	for _, pod := range a.release {
		if !write(func() { p.letGo(pod.UID); let[pod.UID] = true }) {
			return
		}
	}
	s := p.job.Status.DeepCopy()
	settle(s, isIndexed(p.job), func(uid types.UID) bool {
		return !let[uid] && slices.ContainsFunc(p.pods, func(q *corev1.Pod) bool { return q.UID == uid && isHeld(q) })
	})
	l.finish(s)
	write(func() { p.job.Status = *s })
}

func (p *play) change(uid types.UID, how func(*corev1.Pod)) {
	for i, q := range p.pods {
		if q.UID == uid {
			p.pods[i] = q.DeepCopy()
			how(p.pods[i])
			if p.pods[i].DeletionTimestamp != nil && !isHeld(p.pods[i]) {
				p.pods = slices.Delete(p.pods, i, i+1)
			}
			return
		}
	}
}

func (p *play) letGo(uid types.UID) {
	p.change(uid, func(q *corev1.Pod) { q.Finalizers = nil })
}

// remove deletes a pod, which counts as a failure where it is not let go before.
func (p *play) remove(pod *corev1.Pod, release bool) {
	if release {
		p.letGo(pod.UID)
	} else {
		p.failed[pod.Name] = true
	}
	p.change(pod.UID, func(q *corev1.Pod) { t := q.CreationTimestamp; q.DeletionTimestamp = &t })
}

func (p *play) create(pod *corev1.Pod) {
	pod = pod.DeepCopy()
	pod.Name = fmt.Sprintf("%s%d", pod.GenerateName, p.made)
	pod.UID, pod.Status.Phase = types.UID(pod.Name), corev1.PodRunning
	p.made++
	p.pods = append(p.pods, pod)
}

// endOne ends a pod that runs.
func (p *play) endOne(mayFail bool) {
	for _, q := range p.pods {
		if q.Status.Phase != corev1.PodRunning || q.DeletionTimestamp != nil || p.random.IntN(3) == 0 {
			continue
		}
		if mayFail && p.random.IntN(4) == 0 {
			p.failed[q.Name] = true
			p.change(q.UID, func(q *corev1.Pod) { q.Status.Phase = corev1.PodFailed })
			return
		}
		name := q.Name
		if isIndexed(p.job) {
			name = fmt.Sprint(indexOf(q))
		}
		p.succeeded[name] = true
		p.change(q.UID, func(q *corev1.Pod) { q.Status.Phase = corev1.PodSucceeded })
		return
	}
}

// TestNothingIsCountedTwiceOrLost ends the controller after any of its writes, again and
// again, and compares what a job says at its end with what its pods did.
func TestNothingIsCountedTwiceOrLost(t *testing.T) {
	for seed := range uint64(2000) {
		var change []func(*batchv1.Job)
		switch seed % 4 {
		case 1:
			change = append(change, ofIndexes(5))
		case 2:
			change = append(change, ofIndexes(5), perIndex(1))
		case 3:
			change = append(change, spec(func(s *batchv1.JobSpec) { s.BackoffLimit = new(int32(2)) }))
		}
		p := &play{
			T: t, random: rand.New(rand.NewPCG(seed, 1)), job: job(change...), now: noon,
			succeeded: map[string]bool{}, failed: map[string]bool{},
		}
		p.job.Status.StartTime = nil
		for round := 0; !isOver(p.job); round++ {
			if round > 1000 {
				t.Fatalf("seed %d does not end: %+v", seed, p.job.Status)
			}
			p.endOne(true)
			p.look(p.random.IntN(8))
			p.now = p.now.Add(time.Minute)
		}
		p.look(1000)
		s := p.job.Status
		if int(s.Succeeded) != len(p.succeeded) || int(s.Failed) != len(p.failed) || !isCounted(&s) {
			t.Fatalf("seed %d: %d succeeded and %d failed of %d pods, status %+v", seed, len(p.succeeded), len(p.failed), p.made, s)
		}
		for _, q := range p.pods {
			if isHeld(q) {
				t.Errorf("seed %d: pod %s is held at the end", seed, q.Name)
			}
		}
	}
}
