package place

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/wait"
)

const (
	// measureEvery is the kubelet's period, in real time.
	measureEvery = 10 * time.Second
	// measureShare bounds the time that is spent on a volume of many files: one part
	// of so many.
	measureShare = 20
)

// diskLimit is what an emptyDir on disk may hold, 0 for no limit. In memory the
// tmpfs has the limit.
func diskLimit(v *corev1.Volume) int64 {
	if v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil || v.EmptyDir.Medium != corev1.StorageMediumDefault {
		return 0
	}
	return max(v.EmptyDir.SizeLimit.Value(), 0)
}

// watchSize measures an emptyDir on disk, now and again until its pod is torn down,
// and has the pod evicted when it outgrew its limit.
func (s *spot) watchSize(limit int64) {
	rest := measureEvery
	for {
		if !wait.Pause(s.ctx, s.m.cfg.Wall, rest) {
			return
		}
		began := s.m.cfg.Wall.Now()
		used, err := s.measure(limit)
		if s.ctx.Err() != nil {
			return
		}
		if err != nil {
			s.m.cfg.Log.Warn("measuring a volume", "volume", s.dir, "error", err)
		}
		if used > limit {
			s.m.cfg.Evict(s.spec.Load(), tooLarge(s.source))
		}
		rest = max(measureEvery, measureShare*s.m.cfg.Wall.Since(began))
	}
}

// measure measures a volume, one volume at a time so that the disk stays free for
// pods.
func (s *spot) measure(limit int64) (int64, error) {
	select {
	case s.m.measuring <- struct{}{}:
		defer func() { <-s.m.measuring }()
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	dir, err := s.m.root.Sub(s.dir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	return dir.Usage(s.ctx, limit)
}

// tooLarge is what a pod is told that is evicted for a volume, in Kubernetes' words.
func tooLarge(v *corev1.Volume) string {
	return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", v.Name, v.EmptyDir.SizeLimit.String())
}
