// Command images builds the images that the tests and the documents' examples use,
// as archives in the form of `docker save`, from Debian's packages. No registry is
// asked.
//
//	go run ./test/images -o build/images
//
// Programs come from the packages that are installed, else from packages that
// `apt-get download` fetches and that are unpacked beside the archives; nothing is
// installed. Archives that are up to date are left alone. Importing them is
// `laterna image import`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	out := flag.String("o", "build/images", "directory for the archives")
	kubectl := flag.String("kubectl", "bin/kubectl", "static kubectl for the kubectl-proxy image; built when it is missing")
	ambassador := flag.String("ambassador", "", "static program for the ambassador image; built when it is missing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := buildAll(ctx, *out, programs{*kubectl, *ambassador}); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}
