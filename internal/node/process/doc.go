// Package process reaches into containers that run: it holds and signals their main
// process, runs commands beside it, and stops it with the signal that its pod wants.
//
// It owns the way from a container's ID to exactly its process. When an update of a
// volume asks for a signal or a command is internal/volumes/onupdate's to say; what a
// client of the API runs in a container goes through internal/node/podapi.
package process
