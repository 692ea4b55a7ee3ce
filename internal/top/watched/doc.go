// Package watched keeps what `laterna top` shows up to date by watches, with the rights
// of whoever runs it.
//
// It owns the requests: pods without what their containers are given, PodProjections,
// the metadata of ConfigMaps, and the server's time. Secrets are never asked for. What
// follows from it is internal/top/picture's.
package watched
