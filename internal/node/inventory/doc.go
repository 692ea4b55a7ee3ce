// Package inventory follows what the containers of one data directory do on the
// container runtime, and knows whose they are.
//
// It owns the runtime's events and the relist that makes up for lost ones. What follows
// from a change is its user's to decide: it tells and acts on nothing.
package inventory
