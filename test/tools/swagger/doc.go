// Package swagger has the test of Swagger UI at /swagger-ui/: what a newcomer does there.
package swagger
