package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
)

// What Open answers besides what the store has to say.
var (
	// ErrInvalid: no session was sealed into the token here, or too long ago.
	ErrInvalid = errors.New("not a session token")
	// ErrExpired: the session is over.
	ErrExpired = errors.New("the session is over")
)

// MaxToken is how long a session token is at most, in characters.
const MaxToken = 32 << 10

// form is the first byte of a token; another form has another.
const form = 1

// Config is what a sealer is made from. Every field is required.
type Config struct {
	Store Store
	// Clock is the time of sessions.
	Clock clock.API
	Wall  clock.Wall
}

// Sealer begins sessions and knows them again. It is safe for concurrent use; it asks its
// store when the first session begins or is used.
type Sealer struct {
	ring  ring
	clock clock.API
}

// NewSealer returns a sealer that has asked nobody yet.
func NewSealer(c Config) *Sealer {
	return &Sealer{ring{store: c.Store, clock: c.Clock, wall: c.Wall}, c.Clock}
}

// Credentials are those of a session.
type Credentials struct {
	ID     string
	Secret redacted.Text
	Token  redacted.Text
	Holder *caller.Caller
}

// sealed is what a token holds.
type sealed struct {
	ID      string         `json:"id"`
	Secret  string         `json:"secret"`
	Account string         `json:"account"`
	ARN     string         `json:"arn"`
	UserID  string         `json:"userID"`
	Session caller.Session `json:"session"`
}

// Begin makes the credentials of a session. Issued and Expires of the session are set from
// the clock and its duration.
func (s *Sealer) Begin(ctx context.Context, holder caller.Caller, lasts time.Duration) (Credentials, error) {
	k, err := s.ring.sealing(ctx)
	if err != nil {
		return Credentials{}, err
	}
	session := *holder.Session
	session.Issued = s.clock.Now().UTC().Truncate(time.Second)
	session.Expires = session.Issued.Add(lasts)
	holder.Session = &session
	holder.AccessKeyID = iam.NewKeyID(iam.TemporaryPrefix, holder.Account)
	var secret [30]byte
	rand.Read(secret[:])
	c := Credentials{ID: holder.AccessKeyID, Secret: redacted.New(base64.StdEncoding.EncodeToString(secret[:])), Holder: &holder}
	text, err := json.Marshal(sealed{c.ID, c.Secret.Reveal(), holder.Account, holder.ARN, holder.UserID, session})
	if err != nil {
		return Credentials{}, err
	}
	box, err := k.aead()
	if err != nil {
		return Credentials{}, err
	}
	head := append([]byte{form}, k.ID...)
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce)
	raw := box.Seal(append(head, nonce...), nonce, text, head)
	c.Token = redacted.New(base64.StdEncoding.EncodeToString(raw))
	return c, nil
}

func (k key) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.Bytes)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Open returns the credentials that a token was made with.
func (s *Sealer) Open(ctx context.Context, token string) (Credentials, error) {
	if len(token) > MaxToken {
		return Credentials{}, ErrInvalid
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < 1+idSize || raw[0] != form {
		return Credentials{}, ErrInvalid
	}
	head := raw[:1+idSize]
	k, ok, err := s.ring.opening(ctx, string(head[1:]))
	if err != nil {
		return Credentials{}, err
	}
	if !ok {
		return Credentials{}, ErrInvalid
	}
	box, err := k.aead()
	if err != nil {
		return Credentials{}, err
	}
	rest := raw[len(head):]
	if len(rest) < box.NonceSize() {
		return Credentials{}, ErrInvalid
	}
	text, err := box.Open(nil, rest[:box.NonceSize()], rest[box.NonceSize():], head)
	if err != nil {
		return Credentials{}, ErrInvalid
	}
	var in sealed
	if json.Unmarshal(text, &in) != nil {
		return Credentials{}, ErrInvalid
	}
	if !s.clock.Now().Before(in.Session.Expires) {
		return Credentials{}, ErrExpired
	}
	return Credentials{ID: in.ID, Secret: redacted.New(in.Secret), Token: redacted.New(token), Holder: &caller.Caller{
		AccessKeyID: in.ID, Account: in.Account, ARN: in.ARN, UserID: in.UserID, Session: &in.Session,
	}}, nil
}
