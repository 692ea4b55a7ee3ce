package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// singleWrites and sharedWrites are the numbers of writes measured.
	singleWrites = 200
	sharedWrites = 20
	// singleGap lets the machine idle between writes; sharedGap also keeps below
	// the rate at which a publisher makes readers of old generations wait.
	singleGap = 20 * time.Millisecond
	sharedGap = 500 * time.Millisecond
	// fleetPause is how long a fleet that has grown is left alone.
	fleetPause = 5 * time.Second
	// updateLimit is after which an update counts as lost.
	updateLimit = 30 * time.Second
)

// measureUpdates writes ConfigMaps of a fleet and awaits the bytes in the
// containers: first objects that one pod uses each, then the one that all use.
func measureUpdates(ctx context.Context, b *bench) ([]figure, error) {
	f, err := b.fleet(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := f.grow(ctx, b.pods); err != nil {
		return nil, err
	}
	if err := pause(ctx, fleetPause); err != nil {
		return nil, err
	}
	r, err := newReaders(b.pods, mountPath, "own", "shared")
	if err != nil {
		return nil, err
	}
	defer r.close()
	u := &updates{fleet: f, readers: r, sequence: 1}
	one, err := u.single(ctx, singleWrites)
	if err != nil {
		return nil, fmt.Errorf("one pod's object: %w", err)
	}
	put := u.put
	all, err := u.shared(ctx, sharedWrites)
	if err != nil {
		return nil, fmt.Errorf("the object of all pods: %w", err)
	}
	what := fmt.Sprintf("write → bytes in the container, 1 of %d pods, ", b.pods)
	return []figure{
		{What: what + "p50", Value: ms(one.median()), Unit: "ms", Budget: 5,
			Note: fmt.Sprintf("%s; the write answers after %s ms", one.spread(), number(ms(put.median())))},
		{What: what + "p99", Value: ms(one.quantile(0.99)), Unit: "ms", Budget: 25},
		{What: fmt.Sprintf("write → bytes in all %d pods, the last, p50", b.pods), Value: ms(all.median()), Unit: "ms", Budget: 100, Note: all.spread()},
		{What: fmt.Sprintf("write → bytes in all %d pods, the last, worst", b.pods), Value: ms(all.quantile(1)), Unit: "ms", Budget: 100},
	}, nil
}

// updates writes numbers, each only once.
type updates struct {
	fleet    *fleet
	readers  *readers
	sequence int
	put      durations // how long the writes took to be answered
}

// write stores the next number in a ConfigMap and returns when it was sent.
func (u *updates) write(ctx context.Context, name string) (begin time.Time, number string, err error) {
	u.sequence++
	object := sequence(name, u.sequence)
	begin = time.Now()
	_, err = u.fleet.client.CoreV1().ConfigMaps(namespace).Update(ctx, object, metav1.UpdateOptions{})
	u.put = append(u.put, time.Since(begin))
	return begin, strconv.Itoa(u.sequence), err
}

// single writes the pods' own objects in turn.
func (u *updates) single(ctx context.Context, n int) (durations, error) {
	var times durations
	for i := range n {
		pod := i % u.fleet.pods
		begin, want, err := u.write(ctx, podName(pod))
		if err != nil {
			return nil, err
		}
		at, err := u.readers.await(ctx, 1, func(s sighting) bool { return s.pod == pod && s.files["own"] == want })
		if err != nil {
			return nil, err
		}
		times = append(times, at.Sub(begin))
		if err := pause(ctx, singleGap); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// shared writes the object of all pods; a time is that of the last pod.
func (u *updates) shared(ctx context.Context, n int) (durations, error) {
	var times durations
	for range n {
		begin, want, err := u.write(ctx, sharedMap)
		if err != nil {
			return nil, err
		}
		at, err := u.readers.await(ctx, u.fleet.pods, func(s sighting) bool { return s.files["shared"] == want })
		if err != nil {
			return nil, err
		}
		times = append(times, at.Sub(begin))
		if err := pause(ctx, sharedGap); err != nil {
			return nil, err
		}
	}
	return times, nil
}
