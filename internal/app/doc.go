// Package app is the composition root: it decides which components make up
// `laterna up` and `laterna server`, in which order they start, and which
// certificate, directory and clock each one gets.
//
// It owns no behaviour of its own beyond that. The parts live in internal/etcd,
// internal/apiserver, internal/controller, internal/node and internal/network; the
// commands live in internal/cli.
package app
