package sts_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"laterna.dev/laterna/internal/aws/sts/explain"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return text
}

// record is what the journal holds of a call.
func (w *world) record(id string) explain.Record {
	w.t.Helper()
	text, ok := w.journal.Find(id)
	if !ok {
		w.t.Fatalf("the journal holds nothing of %s", id)
	}
	var r explain.Record
	must(w.t, json.Unmarshal(text, &r))
	return r
}
