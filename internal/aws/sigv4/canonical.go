package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// stringToSign is what the signature of a request is computed from.
func (s *signature) stringToSign(r *http.Request, payloadHash string) string {
	return StringToSign(s.date, s.scope, CanonicalRequest(r, s.headers, payloadHash))
}

// StringToSign joins a canonical request with the time and scope of its signature.
func StringToSign(date string, scope Scope, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return algorithm + "\n" + date + "\n" + scope.String() + "\n" + hex.EncodeToString(sum[:])
}

// CanonicalRequest is the form of a request that is signed; of headers those that are
// named count, sorted, with small letters.
func CanonicalRequest(r *http.Request, headers []string, payloadHash string) string {
	names := make([]string, len(headers))
	for i, h := range headers {
		names[i] = strings.ToLower(h)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range names {
		b.WriteString(name + ":" + headerOf(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + payloadHash)
	return b.String()
}

// headerOf returns the values of a header, trimmed and with single blanks. Some headers
// are no longer among the others once Go has read a request.
func headerOf(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	values := r.Header.Values(name)
	if name == "content-length" && len(values) == 0 && r.ContentLength >= 0 {
		return strconv.FormatInt(r.ContentLength, 10)
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(trimmed, ",")
}

// canonicalPath is the path without dots and empty segments, encoded once more than it was
// sent.
func canonicalPath(u *url.URL) string {
	sent := u.EscapedPath()
	var kept []string
	for segment := range strings.SplitSeq(sent, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, encode(segment))
		}
	}
	path := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && (strings.HasSuffix(sent, "/") || strings.HasSuffix(sent, "/.") || strings.HasSuffix(sent, "/..")) {
		path += "/"
	}
	return path
}

// canonicalQuery is the query without the signature in it, sorted by name, then value.
func canonicalQuery(values url.Values) string {
	var pairs [][2]string
	for name, all := range values {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, value := range all {
			pairs = append(pairs, [2]string{encode(name), encode(value)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	joined := make([]string, len(pairs))
	for i, p := range pairs {
		joined[i] = p[0] + "=" + p[1]
	}
	return strings.Join(joined, "&")
}

// encode escapes all but unreserved characters (RFC 3986).
func encode(text string) string {
	const hexadecimal = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexadecimal[c>>4])
		b.WriteByte(hexadecimal[c&15])
	}
	return b.String()
}
