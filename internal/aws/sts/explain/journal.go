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

type entry struct {
	id   string
	text []byte
}

// Keep notes a call, and forgets the oldest where there are too many. The record is not
// used any more after that.
func (j *Journal) Keep(r *Record) {
	text, err := json.Marshal(r)
	if err == nil && len(text) > maxRecord {
		r.Decision = nil
		text, err = json.Marshal(r)
	}
	if err != nil || len(text) > maxRecord {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = append(j.kept, entry{r.RequestID, text})
	j.bytes += len(text)
	drop := 0
	for len(j.kept)-drop > MaxRecords || j.bytes > MaxBytes {
		j.bytes -= len(j.kept[drop].text)
		j.kept[drop] = entry{}
		drop++
	}
	j.kept = j.kept[drop:]
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
	j.mu.Lock()
	defer j.mu.Unlock()
	all := []json.RawMessage{}
	for i := len(j.kept) - 1; i >= 0 && len(all) < n; i-- {
		all = append(all, j.kept[i].text)
	}
	return all
}
