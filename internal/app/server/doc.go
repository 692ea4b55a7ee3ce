// Package server builds the server of a system, step by step: store, keys, API, controllers.
// Each step is given what the steps before it have returned.
//
// It owns which setting goes to which part. The parts live in internal/etcd,
// internal/tokens/keys, internal/apiserver and internal/controller/manager; the order in
// which they start in internal/app/up.
package server
