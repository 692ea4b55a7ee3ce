package proxy

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestRoomIsBoundedForEachAndForAll(t *testing.T) {
	var r room
	var done []func()
	take := func(account string, n int) {
		t.Helper()
		for range n {
			d, err := r.open(account)
			if err != nil {
				t.Fatal(err)
			}
			done = append(done, d)
		}
	}
	take("a", openEach)
	if _, err := r.open("a"); !apierrors.IsTooManyRequests(err) {
		t.Errorf("one account: %v", err)
	}
	for _, account := range []string{"b", "c", "d"} {
		take(account, openEach)
	}
	if _, err := r.open("e"); !apierrors.IsTooManyRequests(err) {
		t.Errorf("all: %v", err)
	}
	for _, d := range done {
		d()
	}
	if r.all != 0 || len(r.accounts) != 0 {
		t.Errorf("%d stay counted, of %v", r.all, r.accounts)
	}
	take("a", 1)
}
