// Package matching checks what webhooks and policies say of the requests that they are
// about: rules, and conditions, which are CEL expressions.
//
// Whole configurations of webhooks are internal/registry/admissionregistration/webhookconfiguration's,
// policies and their bindings internal/registry/admissionregistration/admissionpolicy's.
package matching
