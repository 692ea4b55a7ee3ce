package inspect

import (
	"fmt"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/plain"
)

// formOf tells whether the token is what Kubernetes issues: strictly encoded, with
// claims that are complete and agree.
func formOf(t Token) Check {
	c := Check{Name: "form", Result: Failed}
	if !t.Readable() {
		c.Reason = plain.Text(t.refused.Error())
		return c
	}
	legacy, kept := t.Legacy()
	claims := t.Claims()
	what, err := "a bound service account token of %d bytes", claims.Check()
	if kept {
		what, err = "a service account token of %d bytes, kept in a Secret", legacy.Check()
	}
	if err != nil {
		c.Reason = plain.Text(err.Error())
		return c
	}
	c.Result, c.Reason = Passed, fmt.Sprintf(what, t.size)
	return c
}

// audienceOf tells whether the token is for one of want. listing, where there is one,
// helps a reader who names no recipient.
func audienceOf(t Token, want []string, listing *Listing) Check {
	c := Check{Name: "audience", Result: NotMade}
	claims := t.Claims()
	_, kept := t.Legacy()
	switch {
	case len(want) == 0:
		c.Reason = "name the recipient with --audience" + forAPI(&claims, kept, listing)
	case kept:
		c.Result, c.Reason = Failed, "the token is for the API server alone and names no audience"
	default:
		both, err := claims.CheckAudience(want)
		if err != nil {
			c.Result, c.Reason = Failed, fmt.Sprintf("the token is for %s, not for %s", orNobody(claims.Audience), plain.List(want))
			return c
		}
		c.Result, c.Reason = Passed, "the token is for "+plain.List(both)
	}
	return c
}

func orNobody(audiences []string) string {
	if len(audiences) == 0 {
		return "nobody"
	}
	return plain.List(audiences)
}

func forAPI(claims *boundtoken.Claims, kept bool, listing *Listing) string {
	if kept {
		return "; the token is for the API of the system that made it alone"
	}
	if listing == nil || listing.Partial {
		return ""
	}
	if _, err := claims.CheckAudience(listing.APIAudiences); err != nil {
		return "; the API of this system would refuse it"
	}
	return "; the API of this system is one"
}

// timeOf tells whether now is within the token's time.
func timeOf(t Token, now time.Time) Check {
	c := Check{Name: "time", Result: Failed}
	claims := t.Claims()
	if _, kept := t.Legacy(); kept {
		c.Result, c.Reason = Passed, "the token has no end"
		return c
	}
	if claims.Expiry == 0 {
		c.Reason = "the token has no expiry"
		return c
	}
	expires := claims.Expiry.Time()
	err := claims.CheckTime(now)
	switch reason := boundtoken.ReasonOf(err); {
	case err == nil && now.After(expires):
		c.Result, c.Reason = Passed, fmt.Sprintf("expired %s, within the %s that clocks may differ", Relative(expires, now), Span(boundtoken.Leeway))
	case err == nil:
		c.Result, c.Reason = Passed, fmt.Sprintf("good for another %s", Span(expires.Sub(now)))
	case reason == boundtoken.Expired:
		c.Reason = fmt.Sprintf("expired %s", Relative(expires, now))
	case reason == boundtoken.NotYetValid:
		c.Reason = fmt.Sprintf("valid only %s", Relative(claims.NotBefore.Time(), now))
	default:
		c.Reason = fmt.Sprintf("issued in the future, %s: the clocks differ", Relative(claims.IssuedAt.Time(), now))
	}
	return c
}
