package publish

import (
	"maps"

	"laterna.dev/laterna/internal/volumes/tokencache"
)

// TokensBehind counts the volumes whose files show older tokens than those that are
// known, or still those that an earlier process has published. Volumes that were never
// published do not count: nothing can have read them. Nor do tokens that are refused for
// good.
func (pub *Publisher) TokensBehind() (behind int) {
	pub.mu.Lock()
	users := map[*volume]bool{}
	for _, all := range pub.users {
		for v := range all {
			users[v] = true
		}
	}
	pub.mu.Unlock()
	for v := range users {
		if pub.tokensBehind(v) {
			behind++
		}
	}
	return behind
}

func (pub *Publisher) tokensBehind(v *volume) bool {
	v.state.Lock()
	now, unseen, refused := v.shown, v.unseen && v.failure == nil, maps.Clone(v.refused)
	v.state.Unlock()
	if unseen {
		return true
	}
	if now.generation == "" {
		return false
	}
	serials := map[uint64]bool{}
	for _, t := range now.tokens {
		serials[t.serial] = true
	}
	for request := range v.tokens {
		token, _, known := pub.cfg.Tokens.Peek(request)
		if known && !serials[token.Serial()] || !known && !tokencache.Final(refused[request]) {
			return true
		}
	}
	return false
}
