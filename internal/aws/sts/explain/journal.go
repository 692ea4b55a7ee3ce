package explain

import (
	"container/list"
	"encoding/json"
	"sync"
)

// Bounds of a journal.
const (
	// MaxRecords is how many calls are kept.
	MaxRecords = 1000
	// MaxBytes is how much they are as JSON.
	MaxBytes = 8 << 20
	// maxRecord is how long a record may be; a longer one loses its decision.
	maxRecord = 256 << 10
	// minWeight is what a short call weighs, so that one bound is both.
	minWeight = MaxBytes / MaxRecords
)

// Journal are the last calls: of each who calls his last ones, as many as there is room
// for. Its zero value is an empty journal. It is safe for concurrent use.
type Journal struct {
	mu     sync.Mutex
	shares share
	order  list.List // all calls, the oldest first
	number uint64    // of the last call
}

// entry is a call: as it is kept, and as a list shows it.
type entry struct {
	id          string
	text, brief json.RawMessage
	levels      [3]string
	weight      int
	number      uint64
	at          *list.Element // in the journal's order
}

// Keep notes a call, and forgets others where there are too many. The record is not used
// any more after that.
func (j *Journal) Keep(r *Record) {
	e := entryOf(r)
	if e == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.number++
	e.number = j.number
	e.at = j.order.PushBack(e)
	j.shares.add(e)
	for j.shares.weight > MaxBytes {
		j.order.Remove(j.shares.drop().at)
	}
}

// entryOf makes the entry of a record; nil is one that is too long.
func entryOf(r *Record) *entry {
	whole, err := text(r)
	if err == nil && len(whole) > maxRecord {
		r.Decision = nil
		whole, err = text(r)
	}
	if err != nil || len(whole) > maxRecord {
		return nil
	}
	brief, err := text(r.brief())
	if err != nil {
		return nil
	}
	return &entry{id: r.RequestID, text: whole, brief: brief, levels: r.levels(), weight: max(minWeight, len(whole)+len(brief))}
}

// Find returns the record of a request, as JSON.
func (j *Journal) Find(id string) (json.RawMessage, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for at := j.order.Back(); at != nil; at = at.Prev() {
		if e := at.Value.(*entry); e.id == id {
			return e.text, true
		}
	}
	return nil, false
}

// Last returns the last n records, the newest first.
func (j *Journal) Last(n int) []json.RawMessage {
	return j.last(n, func(e *entry) json.RawMessage { return e.text })
}

// Briefs returns what a list shows of the last n calls, the newest first; each is a Brief.
func (j *Journal) Briefs(n int) []json.RawMessage {
	return j.last(n, func(e *entry) json.RawMessage { return e.brief })
}

func (j *Journal) last(n int, of func(*entry) json.RawMessage) []json.RawMessage {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := []json.RawMessage{}
	for at := j.order.Back(); at != nil && len(all) < n; at = at.Prev() {
		all = append(all, of(at.Value.(*entry)))
	}
	return all
}
