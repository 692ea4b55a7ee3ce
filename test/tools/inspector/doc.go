// Package inspector looks at the page at /projections/ as a user of a running system:
// that updates show at once, that everybody can use it, and that it tells nobody more
// than he may know.
//
// It owns what is expected of that page. The system is started by test/compat, kubectl
// finds it by the environment.
package inspector
