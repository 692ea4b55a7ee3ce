// Package credentialprovider asks programs of the node's operator for logins of registries:
// credential provider plugins as the kubelet has them (KEP-2133), with tokens of the pod's
// service account where they want one (KEP-4412).
//
// It owns their configuration, which images a plugin is asked for, what it is told and
// what it may answer, how long an answer is kept and for whom, and bounds on all that a
// plugin decides. When an image is pulled with which login, and which pods may use it
// afterwards, is internal/node/imagepull's. A node's right to tokens for the plugins'
// audiences is internal/authz/node's.
package credentialprovider
