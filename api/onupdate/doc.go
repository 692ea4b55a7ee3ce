// Package onupdate owns the pod annotation laterna.dev/on-update: what runs in the
// containers of a pod before and after the files of its volumes change.
//
//	metadata:
//	  annotations:
//	    laterna.dev/on-update: |
//	      - {volumes: [config], container: web, check: [nginx, -t, -c, "$(LATERNA_CANDIDATE)/nginx.conf"]}
//	      - {volumes: [config], container: web, signal: SIGHUP}
//
// Parse reads the annotation, Validate compares it with its pod; both say where the
// mistakes are. The rules are carried out by internal/volumes/onupdate and checked at
// admission by internal/registry/core/pod.
package onupdate
