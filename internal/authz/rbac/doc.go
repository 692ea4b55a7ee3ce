// Package rbac decides requests by Roles, ClusterRoles and their bindings, as the
// RBAC authorizer of Kubernetes does, with the same reasons.
//
// It owns the in-memory view that decisions are made from: bindings indexed by
// subject and namespace, roles by name. The view has two sources. Watches of the
// four kinds keep it right whoever wrote; and the storage of the four kinds tells
// it of every write that this server commits (Written, Deleted) before the client
// gets its answer, so a binding is in force, or gone, when its response arrives.
// What another server wrote arrives by watch, milliseconds later, as upstream. The
// resource version decides when the two sources disagree: the newer one counts.
//
// The storage of the kinds, their defaults and the checks against escalation live
// in internal/registry/rbac; the default roles in internal/registry/rbac/bootstrap;
// what nodes may do by their pods in internal/authz/node.
package rbac
