// Package imageref knows what the name of an image says of when to pull it. Images
// themselves are internal/runtime/images'.
package imageref

import (
	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// ValidatePullPolicy checks when an image is to be pulled.
func ValidatePullPolicy(policy corev1.PullPolicy, path *field.Path) field.ErrorList {
	return check.OneOf(path, policy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
}

// DefaultPullPolicy is Always for the tag latest, written or implied, else IfNotPresent.
func DefaultPullPolicy(image string) corev1.PullPolicy {
	if imageTag(image) == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

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
