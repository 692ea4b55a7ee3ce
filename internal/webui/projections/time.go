package projections

import (
	"encoding/json"
	"net/http"
	"time"
)

// clockName is below Path where the time is told.
const clockName = "clock"

// ClockPath is where the server says what time it is.
const ClockPath = Path + "/" + clockName

// Time is what time it is. Both are the same but under a test clock that was moved.
type Time struct {
	// System is what tokens, keys and issuers live by.
	System time.Time `json:"system"`
	// Wall is what all else does: when files were published, what their checks and
	// actions did, how old objects are.
	Wall time.Time `json:"wall"`
}

func (c Config) tell(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A client that has gone is nobody to tell.
	_ = json.NewEncoder(w).Encode(Time{System: c.Clock.Now().UTC(), Wall: c.Wall.Now().UTC()})
}
