package explain

import (
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
)

// Journal are the last calls. Its zero value is an empty journal. It is safe for
// concurrent use.
type Journal struct {
	mu    sync.Mutex
	kept  []entry // the oldest first
	bytes int
}

// entry is a call: as it is kept, and as a list shows it.
type entry struct {
	id          string
	text, brief json.RawMessage
}

func (e *entry) size() int { return len(e.text) + len(e.brief) }

// Keep notes a call, and forgets the oldest where there are too many. The record is not
// used any more after that.
func (j *Journal) Keep(r *Record) {
	e, ok := entryOf(r)
	if !ok {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = append(j.kept, e)
	j.bytes += e.size()
	drop := 0
	for len(j.kept)-drop > MaxRecords || j.bytes > MaxBytes {
		j.bytes -= j.kept[drop].size()
		j.kept[drop] = entry{}
		drop++
	}
	j.kept = j.kept[drop:]
}

// entryOf makes the entry of a record, unless it is too long.
func entryOf(r *Record) (entry, bool) {
	whole, err := text(r)
	if err == nil && len(whole) > maxRecord {
		r.Decision = nil
		whole, err = text(r)
	}
	if err != nil || len(whole) > maxRecord {
		return entry{}, false
	}
	brief, err := text(r.brief())
	return entry{r.RequestID, whole, brief}, err == nil
}

// Find returns the record of a request, as JSON.
func (j *Journal) Find(id string) (json.RawMessage, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.kept) - 1; i >= 0; i-- {
		if j.kept[i].id == id {
			return j.kept[i].text, true
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
	for i := len(j.kept) - 1; i >= 0 && len(all) < n; i-- {
		all = append(all, of(&j.kept[i]))
	}
	return all
}
