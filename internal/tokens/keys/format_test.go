package keys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/boundtoken"
)

var day = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// whole returns a state with a key of each of the types, and one in every state.
func whole(t testing.TB, types ...Type) *state {
	t.Helper()
	s := &state{}
	for i, kind := range types {
		k, err := newKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			s.found(k, day)
			continue
		}
		s.raise(day.Add(time.Duration(i) * time.Hour))
		if err := s.rotate(k, day.Add(time.Duration(i)*time.Second), i < len(types)-1); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func encoded(t testing.TB, s *state) []byte {
	t.Helper()
	data, err := encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// public returns what a state says without its signers.
func public(s state) []Key {
	var out []Key
	for i := range s.keys {
		out = append(out, s.keys[i].Key)
	}
	return out
}

func TestStoredFormKeepsEverything(t *testing.T) {
	in := whole(t, Types()...)
	out, err := decode(encoded(t, in), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(public(*in), public(out)) || out.algorithm != in.algorithm || out.old {
		t.Errorf("read\n%+v\nwant\n%+v", public(out), public(*in))
	}
	for i := range out.keys {
		k := &out.keys[i]
		if private := k.signer != nil && k.pkcs8 != nil; private == (k.State == Retired) {
			t.Errorf("%s: private half there is %v", k.State, private)
		}
	}
}

// firstForm is what the first release stored: a key that signs and one that did.
func firstForm(t testing.TB) (data []byte, signs, accepted key) {
	t.Helper()
	var all []key
	in := first{Version: 1}
	for i, state := range []string{"accepted", "active"} {
		k, err := newKey(Types()[3*i]) // RSA2048, then ECDSAP256
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
		in.Keys = append(in.Keys, firstKey{ID: k.ID, State: state, Created: day.Add(time.Millisecond), PKCS8: k.pkcs8})
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return data, all[1], all[0]
}

func TestFirstFormIsBroughtUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, signs, accepted := firstForm(t)
		b := &memory{data: data, rev: 1}
		s := serve(t, b, boundtoken.ES256, 0)
		s.want("after the migration", accepted.ID, Retired, signs.ID, Signing)
		if data, stores := b.contents(); !strings.HasPrefix(string(data), `{"version":2,"algorithm":"ES256"`) || stores != 1 {
			t.Errorf("%d stores, stored %.60s", stores, data)
		}
		all, _, _ := s.List(t.Context())
		for _, k := range all {
			if !k.Published.Equal(day.Add(time.Second)) || k.LastEnd.Before(time.Now().Add(longestLife)) {
				t.Errorf("%+v", k)
			}
		}
		s.mint(longestLife / 2)
		s.rotate(Rotation{})
		s.stop()
		s = serve(t, b, boundtoken.ES256, 0)
		if all, _, _ := s.List(t.Context()); len(all) != 3 {
			t.Errorf("%d keys after a rotation and a restart", len(all))
		}
	})
}

// An upgrade with a flag of another algorithm does not switch at once either.
func TestFirstFormAndAnotherAlgorithm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, signs, accepted := firstForm(t)
		s := serve(t, &memory{data: data, rev: 1}, boundtoken.ES384, 0)
		all, _, _ := s.List(t.Context())
		s.want("after the start", accepted.ID, Retired, signs.ID, Signing, all[2].ID, Upcoming)
	})
}

func TestStoredFormThatCannotBeReadStopsTheServer(t *testing.T) {
	k, err := newKey(ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	s := &state{}
	s.found(k, day)
	k2, err := newKey(ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.rotate(k2, day, false); err != nil {
		t.Fatal(err)
	}
	good := string(encoded(t, s))
	firstData, firstSigns, _ := firstForm(t)
	old := string(firstData)
	change := func(in, old, new string) string {
		out := strings.Replace(in, old, new, 1)
		if out == in {
			t.Fatalf("no %s in the stored form", old)
		}
		return out
	}
	again := good[:len(good)-2] + "," + good[strings.Index(good, `"keys":[`)+len(`"keys":[`):]
	for name, tc := range map[string]struct{ data, want string }{
		"damaged":             {good[:len(good)/2], "damaged"},
		"something behind":    {good + "{}", "damaged"},
		"later release":       {change(good, `"version":2`, `"version":3`), "later release"},
		"version nought":      {change(good, `"version":2`, `"version":0`), "stored in version 0"},
		"unknown field":       {change(good, `"id"`, `"color":"red","id"`), "damaged"},
		"no key signs":        {change(good, `"Signing"`, `"Upcoming"`), "0 keys sign"},
		"two keys sign":       {change(good, `"Upcoming"`, `"Signing"`), "2 keys sign"},
		"two are upcoming":    {change(change(again, `"Signing"`, `"Upcoming"`), `"Signing"`, `"Upcoming"`), "twice"},
		"key twice":           {again, "twice"},
		"other state":         {change(good, `"Signing"`, `"retired"`), `unknown state "retired"`},
		"private, but gone":   {change(good, `"Upcoming"`, `"Retired"`), "not a public key"},
		"other ID":            {change(good, k.ID[:5], "AAAAA"), "does not match its ID"},
		"not a key":           {change(good, `"pkcs8":"`, `"pkcs8":"AAAA`), "not a private key"},
		"unknown algorithm":   {change(good, `"algorithm":"ES256"`, `"algorithm":"none"`), `unknown algorithm "none"`},
		"empty":               {`{"version":2,"algorithm":"ES256","keys":[]}`, "0 keys sign"},
		"first, none active":  {change(old, `"active"`, `"accepted"`), "0 keys sign"},
		"first, other state":  {change(old, `"active"`, `"Signing"`), `unknown state "Signing"`},
		"first, other ID":     {change(old, firstSigns.ID[:5], "AAAAA"), "does not match its ID"},
		"first, empty":        {`{"version":1,"keys":[]}`, "0 keys sign"},
		"first, not an array": {`{"version":1,"keys":{}}`, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newRing(t, boundtoken.ES256).Run(context.Background(), &memory{data: []byte(tc.data), rev: 1})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %s", err, tc.want)
			}
			if private := base64.StdEncoding.EncodeToString(k.pkcs8); strings.Contains(err.Error(), private[:20]) {
				t.Errorf("the error holds the key: %v", err)
			}
		})
	}
}

// FuzzStoredForm reads any bytes: either they are refused, or they are a ring that
// survives being written and read again.
func FuzzStoredForm(f *testing.F) {
	f.Add(encoded(f, whole(f, ECDSAP256, ECDSAP256, ECDSAP384)))
	old, _, _ := firstForm(f)
	f.Add(old)
	f.Add([]byte(`{"version":2,"algorithm":"RS256","keys":[{"id":"","state":"Signing","published":"0000-01-01T00:00:00Z","pkcs8":"MAA="}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(data, day)
		if err != nil {
			return
		}
		if s.in(Signing).signer == nil {
			t.Fatal("the key that signs cannot")
		}
		again, err := decode(encoded(t, &s), day)
		if err != nil || !reflect.DeepEqual(public(s), public(again)) {
			t.Fatalf("read again: %v\n%+v\nwant\n%+v", err, public(again), public(s))
		}
		s.next()
		s.step(day)
		s.raise(day)
		if n := len(s.keys); n == 0 || s.in(Signing) == nil {
			t.Fatalf("no key signs after a step, of %d", n)
		}
	})
}
