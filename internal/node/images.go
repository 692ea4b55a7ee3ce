package node

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// imageList is the images on the node as the node object lists them, largest first.
func (a *Agent) imageList(ctx context.Context) ([]corev1.ContainerImage, error) {
	rt := a.runtime.Load()
	if rt == nil {
		return nil, nil
	}
	images, err := rt.client.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(images, func(a, b cri.Image) int {
		if a.Size != b.Size {
			if a.Size > b.Size {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	var out []corev1.ContainerImage
	for _, i := range images {
		names := append(slices.Clone(i.Digests), i.Tags...)
		if len(names) > 0 {
			out = append(out, corev1.ContainerImage{Names: names, SizeBytes: int64(i.Size)})
		}
	}
	return out, nil
}
