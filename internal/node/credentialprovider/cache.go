package credentialprovider

import (
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// maxAnswers bounds the answers of a plugin that are kept.
const maxAnswers = 1000

// scope says for which images an answer is, and for which service account.
type scope struct {
	// image is a repository, a registry, or empty for all.
	image string
	// account is empty where no account was told.
	account string
}

// kept is an answer with its end.
type kept struct {
	logins  []login
	expires time.Time
}

// cache keeps the answers of one plugin. It is safe for concurrent use.
type cache struct {
	clock clock.Wall
	mu    sync.Mutex
	all   map[scope]kept
}

// find returns the answer for the first scope that has one which has not ended.
func (c *cache) find(scopes ...scope) ([]login, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	for _, s := range scopes {
		if k, ok := c.all[s]; ok && now.Before(k.expires) {
			return k.logins, true
		}
	}
	return nil, false
}

// keep keeps an answer for d. Where there is no room, those that have ended go, and then
// the one that ends first.
func (c *cache) keep(s scope, logins []login, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if _, known := c.all[s]; !known && len(c.all) >= maxAnswers {
		var first scope
		for s, k := range c.all {
			if !now.Before(k.expires) {
				delete(c.all, s)
			} else if f, ok := c.all[first]; !ok || k.expires.Before(f.expires) {
				first = s
			}
		}
		if len(c.all) >= maxAnswers {
			delete(c.all, first)
		}
	}
	c.all[s] = kept{logins, now.Add(d)}
}
