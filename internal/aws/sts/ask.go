package sts

import (
	"errors"
	"net/http"
	"time"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
)

// askedSession is the name of a session that nobody has named.
const askedSession = "explain"

// Explain tells what AssumeRoleWithWebIdentity would answer, and begins no session.
func (s *STS) Explain(req *http.Request, q explain.Question) *explain.Record {
	r := &explain.Record{
		Service: Name, Action: "AssumeRoleWithWebIdentity", Time: s.config.Wall.Now().UTC(),
		Region: access.DefaultRegion, Role: q.Role, Session: q.Session, Checks: []explain.Check{}, Status: http.StatusOK,
	}
	if r.Session == "" {
		r.Session = askedSession
	}
	err := s.wouldBecome(req, r, q.Token)
	if err == nil {
		return r
	}
	r.Code, r.Message, r.Status = "InternalFailure", err.Error(), http.StatusInternalServerError
	if refused := (*query.Error)(nil); errors.As(err, &refused) {
		r.Code, r.Message, r.Status = refused.Code, refused.Message, refused.Status
	}
	return r
}

// wouldBecome makes the checks of become.
func (s *STS) wouldBecome(req *http.Request, r *explain.Record, token string) error {
	a := asked{session: r.Session, duration: usualDuration * time.Second, thorough: true}
	var err error
	if a.role, err = arn.ParseRole(r.Role); err != nil {
		r.Add(explain.Check{Name: "role", Verdict: explain.No, Got: r.Role, Want: "arn:aws:iam::<account>:role/<name>"})
		return query.Invalid("Request ARN is invalid")
	}
	_, _, err = s.vouch(req.Context(), req, &a, token, r)
	return err
}
