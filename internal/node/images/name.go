package images

import (
	"fmt"

	"github.com/distribution/reference"
)

// Normalize writes an image's name in full, as docker and CRI do: busybox:1.28 is
// docker.io/library/busybox:1.28, and a name without tag or digest has the tag
// latest. It fails on names that are not image references.
func Normalize(ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", fmt.Errorf("image name %q: %w", ref, err)
	}
	return named.String(), nil
}

// Familiar is the short form of a full name: docker.io/library/busybox:1.28 is
// busybox:1.28. A name that is not a reference is returned as it is.
func Familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}
