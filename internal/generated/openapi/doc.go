// Package openapi holds the generated OpenAPI models of the API types that the
// server serves. Nothing in it is written by hand but this file, a test and the script
// that generates the rest; internal/apiserver turns the models into documents.
package openapi

//go:generate ./generate.sh
