package encryption

import (
	"context"
	"fmt"
	"sync"
	"time"

	"laterna.dev/laterna/internal/wait"
)

// readPatience is how long reading the store may take before somebody looks why.
const readPatience = 3 * time.Second

// Reading calls read, which returns once all that the store holds is read, or ctx ends.
// Where values cannot be decrypted it never is: then Reading ends it and says so.
func (k *Keeper) Reading(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var looker sync.WaitGroup
	defer looker.Wait()
	defer cancel(nil)
	looker.Go(func() {
		if !wait.Pause(ctx, k.config.Clock, readPatience) {
			return
		}
		if found, err := k.Unreadable(ctx); err == nil && found != "" {
			cancel(fmt.Errorf("values of the store cannot be decrypted (%s): start with the --encryption-provider-config and the keys in %s that they were written with", found, k.config.KeyFile))
		}
	})
	err := read(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
