package imagepull

import (
	"cmp"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// dockerHub is the key that is for images of Docker Hub, whatever their names say.
const dockerHub = "index.docker.io"

// KeyOf is the key that the name of a registry in a docker configuration stands for:
// without its scheme, and without the version of an API.
func KeyOf(registry string) string {
	_, rest, ok := strings.Cut(registry, "://")
	if !ok {
		rest = registry
	}
	host, below, _ := strings.Cut(rest, "/")
	below, _, _ = strings.Cut(below, "?")
	if strings.HasPrefix(below, "v1/") || strings.HasPrefix(below, "v2/") {
		below = below[len("v1/"):]
	}
	if below == "" {
		return host
	}
	return host + "/" + below
}

// Match returns the credentials for an image, by its repository (docker.io/library/busybox)
// and by its name as it was written, in the order in which they are to be tried: the keys
// in descending order, so that longer paths come first, and within a key as given.
func Match(all []Credential, repository, written string) []Credential {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Credential) int { return cmp.Compare(b.Key, a.Key) })
	var found []Credential
	for _, c := range sorted {
		if Matches(c.Key, repository) {
			found = append(found, c)
		}
	}
	if len(found) > 0 || !ofDockerHub(written) {
		return found
	}
	for _, c := range sorted {
		if c.Key == dockerHub {
			found = append(found, c)
		}
	}
	return found
}

// Matches says whether a key is for a repository: each part of the host between dots is a
// pattern, ports are equal, and the path is a beginning.
func Matches(key, repository string) bool {
	keyHost, keyPath, _ := strings.Cut(key, "/")
	host, below, _ := strings.Cut(repository, "/")
	keyHost, keyPort := hostPort(keyHost)
	host, port := hostPort(host)
	if keyPort != port || !strings.HasPrefix(below, keyPath) {
		return false
	}
	patterns, labels := strings.Split(keyHost, "."), strings.Split(host, ".")
	if len(patterns) != len(labels) {
		return false
	}
	for i := range patterns {
		if ok, err := path.Match(patterns[i], labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// CheckPattern says why a text cannot be a key, or is empty.
func CheckPattern(key string) string {
	host, _, _ := strings.Cut(key, "/")
	host, _ = hostPort(host)
	switch {
	case strings.Contains(key, "://"):
		return "it has a scheme, and is host[:port][/path]"
	case host == "":
		return "it has no host"
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "it has spaces or control characters"
	}
	for label := range strings.SplitSeq(host, ".") {
		if _, err := path.Match(label, ""); err != nil {
			return err.Error()
		}
	}
	return ""
}

func hostPort(s string) (host, port string) {
	if h, p, err := net.SplitHostPort(s); err == nil {
		return h, p
	}
	return s, ""
}

// ofDockerHub says whether a name, as it was written, is that of an image of Docker Hub.
func ofDockerHub(written string) bool {
	host, _, ok := strings.Cut(written, "/")
	switch {
	case !ok, host == "docker.io", host == dockerHub:
		return true
	}
	return !strings.ContainsAny(host, ".:") && host != "localhost"
}

// repositoryOf is the full name of an image's repository.
func repositoryOf(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	return named.Name(), nil
}
