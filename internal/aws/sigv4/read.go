package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/query"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	// basic is the form of times.
	basic = "20060102T150405Z"
)

// Scope is what a signature is limited to.
type Scope struct {
	// Date is YYYYMMDD.
	Date, Region, Service string
}

func (s Scope) String() string { return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator }

// signature is what a request brings.
type signature struct {
	keyID, token string
	scope        Scope
	terminator   string
	date         string // as it was sent
	time         time.Time
	headers      []string // signed ones, as they were sent
	signature    string
	inQuery      bool
}

// read takes the signature out of a request.
func read(r *http.Request, form url.Values) (*signature, *query.Error) {
	values := r.URL.Query()
	header := r.Header.Get("Authorization")
	presigned := values.Has("X-Amz-Signature") || values.Has("X-Amz-Algorithm") || values.Has("X-Amz-Credential")
	switch {
	case header != "" && presigned:
		return nil, incomplete("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be specified.")
	case presigned:
		return readQuery(values)
	case strings.HasPrefix(header, "AWS4-"):
		return readHeader(header, r.Header)
	case form.Has("SignatureVersion") || form.Has("AWSAccessKeyId"):
		return nil, incomplete("Signature Version 2 is not supported; sign with %s.", algorithm)
	}
	return nil, query.MissingAuthenticationToken()
}

// readHeader reads the form in the header Authorization.
func readHeader(authorization string, header http.Header) (*signature, *query.Error) {
	kind, rest, _ := strings.Cut(authorization, " ")
	if kind != algorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': '%s'.", kind)
	}
	parts := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, incomplete("'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'.", field, authorization)
		}
		parts[name] = value
	}
	date := header.Get("X-Amz-Date")
	if date == "" {
		date = basicOf(header.Get("Date"))
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parts[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if date == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) > 0 {
		digest := sha256.Sum256([]byte(authorization))
		return nil, incomplete("%s (Hashed with SHA-256 and encoded with Base64) Authorization=%s", strings.Join(missing, " "), base64.StdEncoding.EncodeToString(digest[:]))
	}
	s := &signature{token: header.Get("X-Amz-Security-Token"), signature: parts["Signature"], date: date}
	return s, s.parse(parts["Credential"], parts["SignedHeaders"])
}

// basicOf turns a Date header into the form of X-Amz-Date, where it is one of HTTP.
func basicOf(date string) string {
	if t, err := http.ParseTime(date); err == nil {
		return t.UTC().Format(basic)
	}
	return date
}

// readQuery reads the form in the query string.
func readQuery(values url.Values) (*signature, *query.Error) {
	if kind := values.Get("X-Amz-Algorithm"); kind != "" && kind != algorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': '%s'.", kind)
	}
	var missing []string
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if values.Get(name) == "" {
			missing = append(missing, "AWS query-string parameters must include '"+name+"'.")
		}
	}
	if len(missing) > 0 {
		return nil, incomplete("%s Re-examine the query-string parameters.", strings.Join(missing, " "))
	}
	s := &signature{token: values.Get("X-Amz-Security-Token"), signature: values.Get("X-Amz-Signature"), date: values.Get("X-Amz-Date"), inQuery: true}
	return s, s.parse(values.Get("X-Amz-Credential"), values.Get("X-Amz-SignedHeaders"))
}

// parse reads what both forms have.
func (s *signature) parse(credential, headers string) *query.Error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credential)
	}
	s.keyID, s.scope, s.terminator = parts[0], Scope{parts[1], parts[2], parts[3]}, parts[4]
	s.headers = strings.Split(headers, ";")
	var err error
	if s.time, err = time.Parse(basic, s.date); err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", s.date)
	}
	return nil
}

// checkScope refuses what was signed for another service or day, or without the host.
// Every region is right: clients sign with their own whatever endpoint they call.
func (s *signature) checkScope(service string, r *http.Request) *query.Error {
	if !isRegion(s.scope.Region) {
		return refuse(http.StatusForbidden, "Credential should be scoped to a valid region, not '%s'. ", s.scope.Region)
	}
	if s.scope.Service != service {
		return refuse(http.StatusBadRequest, "Credential should be scoped to correct service: '%s'.", service)
	}
	if s.terminator != terminator {
		return refuse(http.StatusForbidden, "Credential should be scoped with a valid terminator: '%s'.", terminator)
	}
	if s.scope.Date != s.time.Format("20060102") {
		return refuse(http.StatusBadRequest, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	if !slices.ContainsFunc(s.headers, func(h string) bool { return strings.EqualFold(h, "host") }) {
		return refuse(http.StatusForbidden, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

func isRegion(text string) bool {
	return text != "" && len(text) <= 64 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// checkTime refuses what was signed too long ago, or will be.
func (s *signature) checkTime(now time.Time) *query.Error {
	now = now.UTC()
	if limit := now.Add(-Window); s.time.Before(limit.Truncate(time.Second)) {
		return refuse(http.StatusForbidden, "Signature expired: %s is now earlier than %s (%s - 15 min.)", s.date, limit.Format(basic), now.Format(basic))
	}
	if limit := now.Add(Window); s.time.After(limit) {
		return refuse(http.StatusForbidden, "Signature not yet current: %s is still later than %s (%s + 15 min.)", s.date, limit.Format(basic), now.Format(basic))
	}
	return nil
}

func incomplete(format string, args ...any) *query.Error {
	return query.Refuse(http.StatusBadRequest, "IncompleteSignature", format, args...)
}
