package atomicdir_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"laterna.dev/laterna/projection/atomicdir"
)

func Example() {
	path, err := os.MkdirTemp("", "volume")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(path)
	dir, err := atomicdir.Open(path, atomicdir.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer dir.Close()

	tree := atomicdir.Tree{Files: []atomicdir.File{
		{Path: "tls/key", Data: []byte("key 1"), Mode: 0o600},
		{Path: "tls/cert", Data: []byte("cert 1"), Mode: 0o644},
	}}
	for range 2 {
		result, err := dir.Publish(context.Background(), tree)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("changed:", result.Changed)
	}

	// A reader that needs key and certificate of one publication.
	pinned, err := atomicdir.Pin(path)
	if err != nil {
		log.Fatal(err)
	}
	defer pinned.Close()
	for _, name := range []string{"tls/key", "tls/cert"} {
		data, err := pinned.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", data)
	}
	// Output:
	// changed: true
	// changed: false
	// key 1
	// cert 1
}
