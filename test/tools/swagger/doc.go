// Package swagger has the test of Swagger UI at /swagger-ui/: what a newcomer does there.
// Where LATERNA_PICTURES names a directory, the picture in docs/clients.md is left there.
package swagger
