package node

import (
	"context"
	"testing"
)

func TestTurns(t *testing.T) {
	a := &Agent{turns: make(chan struct{}, 2)}
	first, ok := a.turn(t.Context())
	if _, second := a.turn(t.Context()); !ok || !second {
		t.Fatal("no turn, although nobody makes a sandbox")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, third := a.turn(ended); third {
		t.Fatal("a third turn of two")
	}
	next := make(chan bool)
	go func() {
		_, ok := a.turn(t.Context())
		next <- ok
	}()
	first()
	if !<-next {
		t.Error("no turn after another was done")
	}
}
