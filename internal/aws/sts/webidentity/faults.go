package webidentity

import (
	"net/http"

	"laterna.dev/laterna/internal/aws/query"
)

func invalid(format string, args ...any) *query.Error {
	return query.Refuse(http.StatusBadRequest, "InvalidIdentityToken", format, args...)
}

func notJWT() *query.Error {
	return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

func missing(claim string) *query.Error { return invalid("Missing a required claim: %s", claim) }

// notValidated is the one answer to a wrong audience, a wrong signature and a key that may
// not verify.
func notValidated() *query.Error {
	return invalid("The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.")
}

// noKey is the answer where no key fits, or the issuer's cannot be had.
func noKey() *query.Error {
	return invalid("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
}

func noProvider(issuer string) *query.Error {
	return invalid("No OpenIDConnect provider found in your account for %s", issuer)
}

func notTrusted() *query.Error {
	return invalid("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
}

// unreachable is answered where nobody listens at the issuer's host; clients try again.
func unreachable() *query.Error {
	return query.Refuse(http.StatusBadRequest, "IDPCommunicationError", "The identity provider that was asked to verify the incoming identity token could not be reached")
}

func expired(now, end int64) *query.Error {
	return query.Refuse(http.StatusBadRequest, "ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now, end)
}
