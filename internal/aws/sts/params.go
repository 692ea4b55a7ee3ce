package sts

import (
	"errors"
	"net/http"
	"time"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

var (
	sessionName = query.NewPattern(`[\w+=,.@-]*`)
	externalID  = query.NewPattern(`[\w+=,.@:\/-]*`)
	document    = query.NewPattern(`[\u0009\u000A\u000D\u0020-\u00FF]+`)
	keyID       = query.NewPattern(`[\w]*`)
	tagText     = query.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	tagKey      = query.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	sixDigits   = query.NewPattern(`[\d]*`)
)

// Bounds on how long sessions last, in seconds.
const (
	leastDuration    = 900
	greatestDuration = 43200
	usualDuration    = 3600
	chainedDuration  = 3600
)

// asked is what both ways to become a role are asked with.
type asked struct {
	role     arn.Role
	session  string
	duration time.Duration
	policy   string
	policies []string
	// thorough makes all checks, for explanations.
	thorough bool
}

// readAsked reads it; what is wrong with the parameters is in p.
func readAsked(p *query.Params) (asked, string) {
	a := asked{}
	text := p.Text("RoleArn", query.Text{Required: true, Min: 20, Max: 2048})
	a.session = p.Text("RoleSessionName", query.Text{Required: true, Min: 2, Max: 64, Pattern: sessionName})
	a.policy = p.Text("Policy", query.Text{Min: 1, Max: 2048, Pattern: document})
	for _, one := range p.Structures("PolicyArns", 10) {
		a.policies = append(a.policies, one.Text("arn", query.Text{Required: true, Min: 20, Max: 2048}))
	}
	a.duration = time.Duration(p.Number("DurationSeconds", leastDuration, greatestDuration, usualDuration)) * time.Second
	return a, text
}

// checkPolicy refuses a session policy that is none.
func (a *asked) checkPolicy() error {
	if a.policy == "" {
		return nil
	}
	err := policy.Check(policy.Session, a.policy)
	if malformed := (*policy.Malformed)(nil); errors.As(err, &malformed) {
		return query.Refuse(http.StatusBadRequest, policy.Code, "%s", malformed.Message)
	}
	return err
}

// checkLife refuses a session that would last longer than its role allows.
func (a *asked) checkLife(most time.Duration) error {
	if most == 0 {
		most = time.Hour
	}
	if a.duration > most {
		return query.Invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return nil
}
