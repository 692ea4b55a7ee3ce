// Package admissionpolicy owns the kinds ValidatingAdmissionPolicy, MutatingAdmissionPolicy
// and their bindings of admissionregistration.k8s.io/v1: defaults, validation, table and
// storage.
//
// Both kinds of policies say nearly the same beside what they do (policy), and so do their
// bindings (binding). Expressions are compiled when a policy is written (expressions.go);
// who may name parameters is asked of authorization (params.go). Policies are applied by
// internal/admission/policy, their types checked by internal/controller/policystatus.
package admissionpolicy
