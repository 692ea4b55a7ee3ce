package onupdate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/projection"
)

// Adopt takes over a pod that an earlier agent ran: what that one did not come to is
// done. It is called before anything runs for the pod in this process.
func (r *Runner) Adopt(pod *corev1.Pod) {
	st := r.state(pod)
	m := r.load(pod.UID)
	st.mu.Lock()
	st.before, st.outcomes = &m, m.Outcomes
	maps.Copy(st.restarting, m.Restarting)
	st.mu.Unlock()
	r.read(st, pod)
	st.mu.Lock()
	st.outcomes = current(st.outcomes, st.rules)
	st.mu.Unlock()
	r.catchUp(st)
}

// VolumesChanged tells that the Generations of a pod may have changed.
func (r *Runner) VolumesChanged(uid types.UID) {
	if st := r.find(uid); st != nil {
		r.catchUp(st)
	}
}

// Restarting has, by container, the ID of the one that was to be replaced last. If it
// is still the newest, it is to be stopped and started again whatever it ends with.
func (r *Runner) Restarting(uid types.UID) map[string]string {
	st := r.find(uid)
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return maps.Clone(st.restarting)
}

// catchUp compares what the volumes show with what the earlier agent remembered, each
// volume once.
func (r *Runner) catchUp(st *podState) {
	st.mu.Lock()
	waiting := st.before != nil
	st.mu.Unlock()
	if !waiting {
		return
	}
	now := r.cfg.Generations(st.uid)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.before == nil {
		return
	}
	for volume, generation := range now {
		was, known := st.before.Volumes[volume]
		delete(st.before.Volumes, volume)
		// An update by this process has its actions scheduled already.
		if _, later := st.generations[volume]; later || generation == "" {
			continue
		}
		st.generations[volume] = generation
		switch {
		case known && was.Generation != generation:
			r.freshen(st, volume)
			r.schedule(st, volume, generation, nil)
		case known && len(was.Pending) > 0:
			r.schedule(st, volume, generation, was.Pending)
		}
	}
	for i := range st.pod.Spec.Volumes {
		v := &st.pod.Spec.Volumes[i]
		if _, seen := st.generations[v.Name]; !seen && projection.Projected(v) {
			return // it is not mounted yet
		}
	}
	st.before = nil
	if len(st.rules) > 0 {
		r.begin(st, func() { r.remember(st) })
	}
}

// remember writes down how far the pod is.
func (r *Runner) remember(st *podState) {
	st.saving.Lock()
	defer st.saving.Unlock()
	if err := save(r.cfg.PodDir(st.uid), st.memory()); err != nil {
		r.cfg.Log.Warn("what was done on updates of a pod could not be saved", "uid", st.uid, "error", err)
	}
}

// memory is what is to be remembered now.
func (st *podState) memory() memory {
	st.mu.Lock()
	defer st.mu.Unlock()
	m := memory{Volumes: map[string]progress{}, Restarting: maps.Clone(st.restarting), Outcomes: slices.Clone(st.outcomes)}
	if st.before != nil {
		maps.Copy(m.Volumes, st.before.Volumes)
	}
	for volume, generation := range st.generations {
		m.Volumes[volume] = progress{Generation: generation}
	}
	for _, l := range st.lanes {
		jobs := slices.Collect(maps.Values(l.jobs))
		if l.running != nil && !l.running.settled {
			jobs = append(jobs, l.running)
		}
		for _, j := range jobs {
			for volume := range j.updates {
				p := m.Volumes[volume]
				if !slices.Contains(p.Pending, j.key) {
					p.Pending = append(p.Pending, j.key)
				}
				m.Volumes[volume] = p
			}
		}
	}
	for _, p := range m.Volumes {
		slices.Sort(p.Pending)
	}
	return m
}
