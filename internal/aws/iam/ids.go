package iam

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strconv"
)

// The prefixes of unique ids, 21 characters in all.
const (
	RolePrefix   = "AROA"
	UserPrefix   = "AIDA"
	PolicyPrefix = "ANPA"
)

// The prefixes of access key ids, 20 characters in all.
const (
	LongTermPrefix  = "AKIA"
	TemporaryPrefix = "ASIA"
)

// NewID returns a new unique id: the prefix and 17 random characters.
func NewID(prefix string) string { return prefix + rand.Text()[:17] }

// NewKeyID returns a new access key id. Its first characters behind the prefix hold the
// account, as AWS's do.
func NewKeyID(prefix, account string) string {
	n, _ := strconv.ParseUint(account, 10, 64) // what is no account reads as 0
	var raw [10]byte
	rand.Read(raw[:])
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], 1<<47|n<<7|uint64(raw[5]&0x7f))
	copy(raw[:6], head[2:])
	return prefix + base32.StdEncoding.EncodeToString(raw[:])
}

// AccountOfKey returns the account that an access key id holds; "" where the id holds
// none.
func AccountOfKey(id string) string {
	if len(id) != 20 {
		return ""
	}
	raw, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return ""
	}
	var head [8]byte
	copy(head[2:], raw[:6])
	n := binary.BigEndian.Uint64(head[:]) & (1<<47 - 1) >> 7
	account := strconv.FormatUint(n, 10)
	for len(account) < 12 {
		account = "0" + account
	}
	if len(account) > 12 {
		return ""
	}
	return account
}
