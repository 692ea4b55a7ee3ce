package iam

import (
	"errors"
	"net/url"
	"strings"
)

// What is wrong with the URL of a provider.
var (
	ErrURLScheme = errors.New("must begin with https://")
	ErrURLParts  = errors.New("must have neither a query nor a fragment, and no user")
	ErrURLHost   = errors.New("must name a host")
)

const https = "https://"

// Issuer checks the URL of a provider and returns what identifies it: the URL without
// https:// and without the port 443. Letter case and a trailing slash stay.
func Issuer(raw string) (string, error) {
	rest, ok := strings.CutPrefix(raw, https)
	if !ok {
		return "", ErrURLScheme
	}
	if strings.ContainsAny(rest, "?#@") {
		return "", ErrURLParts
	}
	host, path, slash := strings.Cut(rest, "/")
	u, err := url.Parse(https + rest)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(rest, " \\\"<>") {
		return "", ErrURLHost
	}
	host = strings.TrimSuffix(host, ":443")
	if slash {
		return host + "/" + path, nil
	}
	return host, nil
}
