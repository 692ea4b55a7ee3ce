// Package resource turns a description of one API kind into the storage that the
// API server serves for it: strategy, table, selectable fields, short names.
//
// It owns what all kinds share (object metadata rules, table conversion, the
// status subresource). What a single kind means (defaults, validation, columns)
// lives in internal/registry/<group>/<resource>; the table that lists all kinds is
// internal/registry; serving them lives in internal/apiserver.
package resource
