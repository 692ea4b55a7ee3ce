package registration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// Asked is a container runtime that can be asked how it is, see cri.Client.
type Asked interface {
	Status(ctx context.Context) (cri.Status, error)
	ListImages(ctx context.Context) ([]cri.Image, error)
}

const down = "container runtime is down"

// Down is the state of a runtime that has not answered yet.
func Down() Runtime { return Runtime{NotReady: []string{down}} }

// Ask asks a runtime of this version for its state.
func Ask(ctx context.Context, r Asked, version cri.Version) Runtime {
	out := Runtime{Version: version.Name + "://" + version.Version}
	status, err := r.Status(ctx)
	if err != nil {
		out.NotReady = append(out.NotReady, down)
		return out
	}
	out.Answers = true
	if f := status.Features; f != nil {
		out.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: &f.StrictGroups}
	}
	out.Handlers = handlers(status.Handlers)
	for _, c := range status.Conditions {
		if c.Status || (c.Type != cri.RuntimeReady && c.Type != cri.NetworkReady) {
			continue
		}
		what := "container runtime not ready"
		if c.Type == cri.NetworkReady {
			what = "container runtime network not ready"
		}
		out.NotReady = append(out.NotReady, fmt.Sprintf("%s: %s=false reason:%s message:%s", what, c.Type, c.Reason, c.Message))
	}
	return out
}

// mostHandlers is how many ways to run pods a node tells of.
const mostHandlers = 100

// handlers are those of a runtime by their names, as the node object lists them.
func handlers(list []cri.Handler) (out []corev1.NodeRuntimeHandler) {
	list = slices.SortedFunc(slices.Values(list), func(a, b cri.Handler) int { return strings.Compare(a.Name, b.Name) })
	for _, h := range list[:min(len(list), mostHandlers)] {
		out = append(out, corev1.NodeRuntimeHandler{Name: h.Name, Features: &corev1.NodeRuntimeHandlerFeatures{
			RecursiveReadOnlyMounts: &h.RecursiveReadOnly, UserNamespaces: &h.UserNamespaces,
		}})
	}
	return out
}

// ListImages is the images of a runtime as the node object lists them, largest first.
func ListImages(ctx context.Context, r Asked) ([]corev1.ContainerImage, error) {
	images, err := r.ListImages(ctx)
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
