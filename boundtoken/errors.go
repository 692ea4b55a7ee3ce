package boundtoken

import (
	"errors"
	"fmt"
)

// Reason says why a token is refused.
type Reason string

// The reasons for which a token is refused.
const (
	// Malformed: not a JWT in compact form, or its JSON is broken, too deep or
	// repeats a name.
	Malformed Reason = "Malformed"
	// TooLarge: longer than MaxSize.
	TooLarge Reason = "TooLarge"
	// BadHeader: the header holds something besides alg, kid and typ.
	BadHeader Reason = "BadHeader"
	// BadAlgorithm: the algorithm is not allowed, or not that of the key.
	BadAlgorithm Reason = "BadAlgorithm"
	// WrongIssuer: the issuer is not one of those accepted.
	WrongIssuer Reason = "WrongIssuer"
	// UnknownKey: no key has the token's key ID.
	UnknownKey Reason = "UnknownKey"
	// BadSignature: no key verifies the signature.
	BadSignature Reason = "BadSignature"
	// BadClaims: claims are missing or contradict each other.
	BadClaims Reason = "BadClaims"
	// WrongAudience: the token is for someone else.
	WrongAudience Reason = "WrongAudience"
	// Expired: exp has passed by more than Leeway.
	Expired Reason = "Expired"
	// NotYetValid: nbf is ahead by more than Leeway.
	NotYetValid Reason = "NotYetValid"
	// IssuedInFuture: iat is ahead by more than Leeway.
	IssuedInFuture Reason = "IssuedInFuture"
)

// Error is a refusal. Its text is that of the Kubernetes API server where the
// API server has one, and never holds any of the token's signature.
type Error struct {
	Reason Reason
	text   string
}

// Error implements error.
func (e *Error) Error() string { return e.text }

// ReasonOf returns the reason in err's chain, or "" where there is none.
func ReasonOf(err error) Reason {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func refuse(r Reason, format string, args ...any) error {
	return &Error{Reason: r, text: fmt.Sprintf(format, args...)}
}

// quote quotes text from an unverified token for a message, shortened.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
