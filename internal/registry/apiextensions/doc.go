// Package apiextensions serves CustomResourceDefinitions and the custom resources that
// they define, with the library k8s.io/apiextensions-apiserver.
//
// The definitions themselves are a kind like others (kind.go). What custom resources need
// (handlers, seven controllers, an informer, documents) takes time and memory that nobody
// without them should pay: it begins with the first definition, before the request that
// makes it is answered, or at the start where definitions are stored (server.go). Its
// groups are listed in both forms of discovery (groups.go), and its schemas published with
// those of the server's own kinds (documents.go).
//
// How objects are stored, and where requests come from, is internal/apiserver's; who
// answers for conversion webhooks internal/admission/webhook's.
package apiextensions
