package atrest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// keySize is that of NaCl secretbox.
const keySize = 32

// entry is one line of the key file: a key, or a comment or blank line, without a key,
// that stays where it is.
type entry struct {
	line   string
	name   string
	secret *[keySize]byte
}

// fingerprint names a key without telling anything of it: keys are random, so that the
// beginning of a digest cannot be searched for.
func (e entry) fingerprint() string {
	sum := sha256.Sum256(append([]byte("laterna encryption key\x00"), e.secret[:]...))
	return hex.EncodeToString(sum[:8])
}

// parse reads a key file: a line holds a name and a key in base64.
func parse(data []byte) ([]entry, error) {
	var all []entry
	seen := map[string]bool{}
	for n, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		e := entry{line: line}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			name, encoded, _ := strings.Cut(line, " ")
			key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
			if err != nil || len(key) != keySize || strings.Contains(name, ":") {
				return nil, fmt.Errorf("line %d is not a name and %d bytes in base64", n+1, keySize)
			}
			e.name, e.secret = name, (*[keySize]byte)(key)
			if seen[e.name+e.fingerprint()] {
				return nil, fmt.Errorf("line %d repeats key %s", n+1, name)
			}
			seen[e.name+e.fingerprint()] = true
		}
		all = append(all, e)
	}
	if len(keysOf(all)) == 0 {
		return nil, errors.New("no key")
	}
	return all, nil
}

func keysOf(all []entry) (keys []entry) {
	for _, e := range all {
		if e.secret != nil {
			keys = append(keys, e)
		}
	}
	return keys
}

func encode(all []entry) []byte {
	var out bytes.Buffer
	for _, e := range all {
		out.WriteString(e.line + "\n")
	}
	return out.Bytes()
}

// newEntry makes a key with a name that no key of the file has or is likely to have had.
func newEntry(all []entry) entry {
	last := 0
	for _, e := range keysOf(all) {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.name, "key")); err == nil {
			last = max(last, n)
		}
	}
	e := entry{name: "key" + strconv.Itoa(last+1), secret: new([keySize]byte)}
	rand.Read(e.secret[:]) // never fails
	e.line = e.name + " " + base64.StdEncoding.EncodeToString(e.secret[:])
	return e
}

// added puts a key behind the first one, so that it reads and does not write yet.
func added(all []entry, e entry) []entry {
	first := slices.IndexFunc(all, func(e entry) bool { return e.secret != nil })
	return slices.Insert(slices.Clone(all), first+1, e)
}

// promoted puts the key of that name first; ok is false where there is none.
func promoted(all []entry, name string) (out []entry, ok bool) {
	from := slices.IndexFunc(all, func(e entry) bool { return e.secret != nil && e.name == name })
	if from < 0 {
		return all, false
	}
	first := slices.IndexFunc(all, func(e entry) bool { return e.secret != nil })
	out = slices.Delete(slices.Clone(all), from, from+1)
	return slices.Insert(out, first, all[from]), true
}

// without leaves keys out, but never the first.
func without(all []entry, names []string) []entry {
	first := keysOf(all)[0].name
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool {
		return e.secret != nil && e.name != first && slices.Contains(names, e.name)
	})
}

// lock keeps other processes from changing files of the directory until unlock is
// called.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
	}
	return func() { f.Close() }, nil
}
