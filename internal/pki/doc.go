// Package pki makes and renews the certificates of one system: its own authority
// and the ECDSA P-256 certificates of the server, the components and the admin.
//
// It signs what others ask for, too, once somebody has judged it
// (internal/controller/certificates).
//
// It owns keys and certificates on disk (0600, in <data-dir>/pki) and their
// renewal. Who uses which certificate lives in internal/app/identity; the keys that sign
// service account tokens live in internal/tokens/keys.
//
// Validity is measured on wall time, as everybody who checks it does.
package pki
