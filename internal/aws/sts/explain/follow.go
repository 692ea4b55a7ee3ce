package explain

import (
	"context"
	"errors"
	"net"
	"net/http"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/clock"
)

// Follow has a journal keep the calls of a service. The service's own Before and After are
// called, too.
func Follow(s *query.Service, j *Journal, wall clock.Wall) {
	before, after := s.Before, s.After
	s.Before = func(ctx context.Context, call *query.Call) error {
		call.Notes = begin(call, wall)
		if before != nil {
			return before(ctx, call)
		}
		return nil
	}
	s.After = func(ctx context.Context, call *query.Call, err error) {
		if r := Of(call); r != nil {
			r.end(call, err)
			j.Keep(r)
		}
		if after != nil {
			after(ctx, call, err)
		}
	}
}

// Of returns the record of a call of a service that is followed, else nil.
func Of(call *query.Call) *Record {
	r, _ := call.Notes.(*Record)
	return r
}

func begin(call *query.Call, wall clock.Wall) *Record {
	r := &Record{
		RequestID: call.ID, Service: call.Service.Name, Action: call.Action, Time: wall.Now().UTC(),
		Host: call.HTTP.Host, Path: call.HTTP.URL.Path, Region: access.Region(call.HTTP), Agent: call.HTTP.UserAgent(), Checks: []Check{},
	}
	if host, _, err := net.SplitHostPort(call.HTTP.RemoteAddr); err == nil {
		r.Source = host
	}
	return r
}

// end notes what was answered; where no check said no, that is the reason itself.
func (r *Record) end(call *query.Call, err error) {
	if call.Caller != nil {
		r.Caller, r.principal = call.Caller.ARN, call.Caller.ARN
		if s := call.Caller.Session; s != nil {
			r.principal = s.RoleARN
		}
	}
	if err == nil {
		r.Status = http.StatusOK
		return
	}
	r.Code, r.Message, r.Status = "InternalFailure", err.Error(), http.StatusInternalServerError
	if refused := (*query.Error)(nil); errors.As(err, &refused) {
		r.Code, r.Message, r.Status = refused.Code, refused.Message, refused.Status
	}
	if _, no := r.First(); !no {
		r.Add(Check{Name: "request", Verdict: No, Why: r.Message})
	}
}
