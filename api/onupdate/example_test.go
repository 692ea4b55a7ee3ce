package onupdate_test

import (
	"fmt"

	"laterna.dev/laterna/api/onupdate"
)

func ExampleParse() {
	rules, err := onupdate.Parse(`
- {volumes: [config], container: web, check: [nginx, -t, -c, "$(LATERNA_CANDIDATE)/nginx.conf"]}
- {volumes: [config], container: web, signal: SIGHUP}
`)
	for _, r := range rules {
		fmt.Println(r.Volumes, r.Container, r.Check, r.Signal, r.Timeout)
	}
	fmt.Println(err)
	_, err = onupdate.Parse("- {volumes: [config], container: web}")
	fmt.Println(err != nil)
	// Output:
	// [config] web [nginx -t -c $(LATERNA_CANDIDATE)/nginx.conf]  10s
	// [config] web [] SIGHUP 0s
	// <nil>
	// true
}
