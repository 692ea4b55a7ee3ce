// Package service owns the Service kind of core/v1: defaults, validation, table,
// storage with the status subresource, and the addresses and node ports that
// services hold.
//
// Which address and port are taken is kept in the store, in one RangeAllocation
// for each of the two, so that several servers agree and a restart changes
// nothing. Carrying traffic to a service lives in internal/network.
package service
