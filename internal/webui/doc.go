// Package webui owns the pages that people look at with a browser, where the API is: their
// files, which are inside the program, how they are served, and what a browser may do with
// them. At present that is Swagger UI, by which the API is explored and tried out.
//
// A page carries nothing that is secret, and no data: what it shows it asks of the API, with
// the rights of whoever looks. It asks no other server. Paths, and whom they answer, stand in
// internal/apiserver/routes.go; tests that look at the pages are in test/tools.
package webui
