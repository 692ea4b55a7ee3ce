package podspec

import "github.com/distribution/reference"

// imageTag returns the tag of an image reference: "latest" for a reference with
// neither tag nor digest, "" for one that has only a digest or does not parse.
func imageTag(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	if tagged, ok := named.(reference.Tagged); ok {
		return tagged.Tag()
	}
	if _, ok := named.(reference.Digested); ok {
		return ""
	}
	return "latest"
}
