package keys

import (
	"encoding/json"
	"fmt"
	"time"
)

// longestLife is the longest that a token could be asked for when rings were stored
// in the first form, which does not tell until when a key is needed.
const longestLife = (1 << 32) * time.Second

// first is the first stored form. Its keys are "active" (one signs) or "accepted".
type first struct {
	Version int        `json:"version"`
	Keys    []firstKey `json:"keys"`
}

type firstKey struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Created time.Time `json:"created"`
	PKCS8   []byte    `json:"pkcs8"`
}

// readFirst reads the first stored form. Tokens of its keys may live for longestLife
// from now; those of keys that did not sign any more count as issued until now, too.
func readFirst(data []byte, now time.Time) (state, error) {
	var in first
	if err := json.Unmarshal(data, &in); err != nil {
		return state{}, errDamaged
	}
	s := state{old: true}
	for i := range in.Keys {
		k, err := in.Keys[i].open(now)
		if err != nil {
			return state{}, fmt.Errorf("key %d: %v", i, err)
		}
		s.keys = append(s.keys, k)
		if k.State == Signing {
			s.algorithm = k.Algorithm
		}
	}
	return s, s.check()
}

func (fk *firstKey) open(now time.Time) (key, error) {
	sk := storedKey{ID: fk.ID, State: Signing, PKCS8: fk.PKCS8}
	if fk.State != "active" && fk.State != "accepted" {
		return key{}, fmt.Errorf("unknown state %q", fk.State)
	}
	k, err := sk.open()
	if err != nil {
		return key{}, err
	}
	k.Published = stamp(fk.Created)
	k.SignsFrom, k.LastEnd = k.Published, stamp(now.Add(longestLife))
	if fk.State == "accepted" {
		k.retire(now)
	}
	return k, nil
}
