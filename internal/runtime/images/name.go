package images

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"laterna.dev/laterna/internal/runtime/pause"
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

// mayBeNamed tells why an import must not give the image one of its names.
func (b bundle) mayBeNamed() error {
	for _, name := range b.names {
		if err := b.mayBe(name); err != nil {
			return err
		}
	}
	return nil
}

func (b bundle) mayBe(name string) error {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return fmt.Errorf("image name %q: %w", name, err)
	}
	if strings.EqualFold(named.Name(), pause.Repository) {
		return fmt.Errorf("the archive names its image %s: that is the name of the sandbox image of all pods, which laterna makes itself; give the image another name", name)
	}
	// As docker refuses it: nobody can tell such a name from an image's id.
	if reference.FamiliarName(named) == digest.SHA256.String() {
		return fmt.Errorf("the archive names its image %s: that is the name of a digest algorithm; give the image another name", name)
	}
	if again, err := Normalize(Familiar(name)); err != nil || again != name {
		return fmt.Errorf("the archive names its image %s, which reads as another image when it is written short: give the image another name", name)
	}
	if by, ok := named.(reference.Digested); ok && !slices.Contains(b.digests, by.Digest()) {
		return fmt.Errorf("the archive names its image %s, but it has digest %s: a name with a digest stands for that very content; give the image a name with a tag", name, b.manifest.Digest)
	}
	return nil
}

// sandboxName tells whether a record's name is one of the sandbox image's repository.
func sandboxName(name string) bool {
	named, err := reference.ParseNormalizedNamed(name)
	return err == nil && named.Name() == pause.Repository
}
