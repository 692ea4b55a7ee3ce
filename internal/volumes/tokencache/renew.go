package tokencache

import apierrors "k8s.io/apimachinery/pkg/api/errors"

// Serial is that of the last token that was asked for.
func (c *Cache) Serial() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serial
}

// Renew has the tokens replaced now for which needed returns true, because what they
// rest on has changed (issuer, signing key), and returns how many these are. Those
// that are being replaced already are not asked for twice, but count; those that the
// server refuses for good (no such service account, no such pod) do not. First tokens
// that are under way may rest on what was: they count, and are looked at when they are
// there. Needed is called with the cache's lock held.
func (c *Cache) Renew(needed func(Request, Token) bool) (pending int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r, e := range c.entries {
		first := !e.have && len(e.asking) > 0
		if !first && (!e.have || !needed(r, e.token) || Final(e.err)) {
			continue
		}
		pending++
		e.wanted = needed
		if !e.renewing {
			e.renewing = true
			go c.renew(e)
		}
	}
	return pending
}

// renew heeds Renew until there is nothing left to heed.
func (c *Cache) renew(e *entry) {
	for {
		c.mu.Lock()
		needed := e.wanted
		e.wanted = nil
		e.renewing = needed != nil
		c.mu.Unlock()
		if needed == nil {
			return
		}
		c.refresh(e, needed)
	}
}

// Final tells whether asking again cannot help. It is asked again all the same, with
// the pauses of a refresh that fails.
func Final(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err) || // the pod, or another one of its name
		apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}
