package access

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

// DefaultRegion is where a call goes whose region nobody can tell.
const DefaultRegion = "us-east-1"

// Common sets the condition keys that every request has. now is the time of credentials.
func Common(k *policy.Context, r *http.Request, now time.Time) {
	k.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	k.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	k.Set("aws:SecureTransport", strconv.FormatBool(r.TLS != nil))
	k.Set("aws:RequestedRegion", Region(r))
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		k.Set("aws:SourceIp", host)
	}
	if agent := r.UserAgent(); agent != "" {
		k.Set("aws:UserAgent", agent)
	}
}

// Of sets the condition keys of a caller.
func Of(k *policy.Context, c *caller.Caller) {
	k.Set("aws:PrincipalAccount", c.Account)
	k.Set("aws:userid", c.UserID)
	s := c.Session
	if s == nil {
		k.Set("aws:PrincipalArn", c.ARN)
		k.Set("aws:PrincipalType", "User")
		if _, name, ok := strings.Cut(c.ARN, ":user/"); ok {
			k.Set("aws:username", name[strings.LastIndexByte(name, '/')+1:])
		}
		return
	}
	if s.RoleARN != "" { // a web identity has none
		k.Set("aws:PrincipalArn", s.RoleARN)
		k.Set("aws:TokenIssueTime", s.Issued.UTC().Format(time.RFC3339))
	}
	k.Set("aws:PrincipalType", "AssumedRole")
	for key, value := range s.Tags {
		k.Set("aws:PrincipalTag/"+key, value)
	}
	if s.SourceIdentity != "" {
		k.Set("aws:SourceIdentity", s.SourceIdentity)
	}
	if s.FederatedProvider != "" {
		k.Set("aws:FederatedProvider", s.FederatedProvider)
	}
	for key, values := range s.Claims {
		if strings.HasSuffix(key, ":amr") {
			k.SetAll(key, values)
		} else if len(values) == 1 {
			k.Set(key, values[0])
		}
	}
}

// Region is where a call goes: by its host, else by what it is signed for.
func Region(r *http.Request) string {
	labels := strings.Split(strings.ToLower(query.WithoutPort(r.Host)), ".")
	if len(labels) >= 4 && labels[2] == "amazonaws" {
		return labels[1]
	}
	_, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		scope = r.URL.Query().Get("X-Amz-Credential")
	}
	if parts := strings.SplitN(scope, "/", 4); len(parts) == 4 && parts[2] != "" {
		return parts[2]
	}
	return DefaultRegion
}
