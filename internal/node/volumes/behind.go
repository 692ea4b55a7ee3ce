package volumes

// TokensBehind counts the volumes whose files show older tokens than those that are
// known. Volumes that were never published do not count: nothing can have read them.
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
	now := v.shown
	v.state.Unlock()
	if now.generation == "" {
		return false
	}
	serials := map[uint64]bool{}
	for _, t := range now.tokens {
		serials[t.serial] = true
	}
	for request := range v.tokens {
		if token, _, known := m.cfg.Tokens.Peek(request); known && !serials[token.Serial()] {
			return true
		}
	}
	return false
}
