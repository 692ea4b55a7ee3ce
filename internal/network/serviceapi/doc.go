// Package serviceapi follows the services of the API and their endpoints, and has the
// network of a node lead to them.
//
// It owns what is watched (as system:kube-proxy, with what upstream's role allows), what of
// it is kept — no object of the API is, only what the network needs — and when changes are
// handed on: those that come within some milliseconds together. Labels by which services
// are left to others are upstream's (service.kubernetes.io/service-proxy-name, …/headless).
//
// What becomes of a service in the table is network/services', who is told of endpoints on
// this node network/healthcheck.
package serviceapi
