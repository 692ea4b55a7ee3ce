//go:build linux

// Package rootfd works on a directory through handles, so that nothing that
// somebody else places below it, such as a link, leads out of it.
//
// It owns the kernel boundary of the agent's pods directory: opening beneath a root
// (openat2), making directories, mounting tmpfs and binding files onto handles, and
// removing trees without following links or crossing mounts. What is mounted where
// is decided in internal/volumes/place. Linux 5.6 or newer.
package rootfd
