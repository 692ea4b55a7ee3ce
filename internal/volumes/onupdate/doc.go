// Package onupdate carries out the rules of the annotation laterna.dev/on-update: it
// checks new files of a volume in a container before they are published, and after
// that signals, runs commands and restarts containers.
//
// Each container has a lane of its own in which the actions run one after another, in
// the annotation's order. Updates that come meanwhile are one more run of what they
// concern. What was done is remembered in the pod's directory, so that an agent that
// was killed between an update and its actions makes up for them.
//
// It owns when something runs, its Events and its outcomes. What the annotation may
// say lives in api/onupdate, publishing in internal/volumes/place, and containers, the
// runtime and processes in internal/node, which gives them in as functions.
package onupdate
