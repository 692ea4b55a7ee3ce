package explain

import (
	"bytes"
	"encoding/json"
)

// text is what is kept of a record or its brief.
func text(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	return redact(raw), err
}

const cut = "[redacted]"

// maxRun is how long a text of base64 may be before it is taken for the token of a session.
// No name or ARN has as much without a colon.
const maxRun = 256

// redact cuts tokens that somebody sent in the place of something else, say as the role, so
// that nobody can use them: JSON Web Tokens go without their signature, what is as long as
// a session's token with its beginning alone.
func redact(raw []byte) []byte {
	var out []byte
	done := 0
	for at := 0; at < len(raw); {
		end := at
		for end < len(raw) && (encoded(raw[end]) || raw[end] == '.') {
			end++
		}
		if keep, is := secretIn(raw[at:end]); is {
			out = append(append(out, raw[done:at+keep]...), cut...)
			done = end
		}
		at = end + 1
	}
	if done == 0 {
		return raw
	}
	return append(out, raw[done:]...)
}

// secretIn says how much of a text without blanks may be kept where it holds a token.
func secretIn(run []byte) (keep int, is bool) {
	if begin := bytes.Index(run, []byte("eyJ")); begin >= 0 {
		if header, rest, ok := bytes.Cut(run[begin:], []byte(".")); ok {
			if payload, signature, ok := bytes.Cut(rest, []byte(".")); ok && len(signature) > 0 {
				return begin + len(header) + 1 + len(payload) + 1, true
			}
		}
	}
	if len(run) > maxRun && bytes.IndexByte(run, '.') < 0 {
		return 16, true
	}
	return 0, false
}

// encoded tells whether a byte is of one of the alphabets of base64.
func encoded(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '+' || b == '/' || b == '_' || b == '-' || b == '='
}
