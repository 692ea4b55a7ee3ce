package proxy

import (
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// openAll bounds the requests that are on their way through a subresource at a time, and
// openEach those of one account: each may stay for as long as its client reads, and costs
// two connections and their buffers.
const (
	openAll  = 2000
	openEach = 500
	// retrySeconds is what clients are told that find no room.
	retrySeconds = 1
)

// room counts the requests that are open. The zero value has none; it is safe for
// concurrent use.
type room struct {
	mu       sync.Mutex
	all      int
	accounts map[string]int
}

// open takes a place, which done gives back, or says that there is none.
func (r *room) open(account string) (done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.accounts[account] >= openEach:
		return nil, apierrors.NewTooManyRequests(fmt.Sprintf("%d requests of %s are on their way through the proxy, which is the most", openEach, account), retrySeconds)
	case r.all >= openAll:
		return nil, apierrors.NewTooManyRequests(fmt.Sprintf("%d requests are on their way through the proxy, which is the most", openAll), retrySeconds)
	}
	if r.accounts == nil {
		r.accounts = map[string]int{}
	}
	r.all++
	r.accounts[account]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all--
		if r.accounts[account]--; r.accounts[account] == 0 {
			delete(r.accounts, account)
		}
	}, nil
}
