package place

import (
	"maps"

	"laterna.dev/laterna/internal/volumes/tokencache"
)

// TokensBehind counts the volumes whose files show older tokens than those that are
// known, or still those that an earlier process has published. Volumes that were never
// published do not count: nothing can have read them. Nor do tokens that are refused for
// good.
func (m *Manager) TokensBehind() (behind int) {
	m.mu.Lock()
	users := map[*volume]bool{}
	for _, all := range m.users {
		for v := range all {
			users[v] = true
		}
	}
	m.mu.Unlock()
	for v := range users {
		if m.tokensBehind(v) {
			behind++
		}
	}
	return behind
}

func (m *Manager) tokensBehind(v *volume) bool {
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
		token, _, known := m.cfg.Tokens.Peek(request)
		if known && !serials[token.Serial()] || !known && !tokencache.Final(refused[request]) {
			return true
		}
	}
	return false
}
