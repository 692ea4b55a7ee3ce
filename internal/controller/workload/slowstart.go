package workload

import (
	"context"
	"errors"
	"sync"
)

// SlowStart calls create count times: once, then, as long as all goes well, twice as many
// at once each time. After a batch with an error nothing more is begun, so that what the
// server refuses is asked for once and not for every pod. It returns how many calls
// succeeded, and their errors.
func SlowStart(ctx context.Context, count int, create func(ctx context.Context, i int) error) (made int, err error) {
	for begun, batch := 0, 1; begun < count; batch *= 2 {
		if err := ctx.Err(); err != nil {
			return made, err
		}
		n := min(batch, count-begun)
		errs := together(n, func(i int) error { return create(ctx, begun+i) })
		for _, e := range errs {
			if e == nil {
				made++
			}
		}
		if err := errors.Join(errs...); err != nil {
			return made, err
		}
		begun += n
	}
	return made, nil
}

// Together calls do count times, all at once, and returns their errors.
func Together(count int, do func(i int) error) error { return errors.Join(together(count, do)...) }

func together(count int, do func(i int) error) []error {
	errs := make([]error, count)
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errs
}
