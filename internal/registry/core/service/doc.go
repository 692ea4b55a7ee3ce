// Package service owns the Service kind of core/v1: defaults, validation, table,
// storage with the status subresource, and the addresses and node ports that
// services hold.
//
// Who holds which address is said by IPAddress objects of networking.k8s.io/v1: one is made
// before its service and removed after it. Which node port is taken is kept in one
// RangeAllocation in the store. So several servers agree and a restart changes nothing.
// ServiceCIDRs are where addresses come from, besides the configured range. Both kinds are
// defined in internal/registry/networking; carrying traffic to a service lives in
// internal/network.
package service
