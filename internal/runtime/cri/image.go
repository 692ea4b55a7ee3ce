package cri

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pullTimeout bounds one image pull.
const pullTimeout = 30 * time.Minute

// ImageStatus looks an image up by any of its names. A nil image means that the
// runtime does not hold it.
func (c *Client) ImageStatus(ctx context.Context, ref string) (*Image, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.image.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil {
		return nil, callError("inspecting image", err)
	}
	if r.GetImage() == nil || r.Image.Id == "" {
		return nil, nil
	}
	out := image(r.Image)
	return &out, nil
}

// ListImages returns all images that the runtime holds, in no order.
func (c *Client) ListImages(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.image.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, callError("listing images", err)
	}
	out := make([]Image, 0, len(r.Images))
	for _, i := range r.Images {
		out = append(out, image(i))
	}
	return out, nil
}

// PullImage pulls an image without credentials and returns the reference by which
// the runtime knows it.
func (c *Client) PullImage(ctx context.Context, ref string, sandbox *SandboxSpec) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	r, err := c.image.PullImage(ctx, &runtimeapi.PullImageRequest{
		Image: &runtimeapi.ImageSpec{Image: ref}, SandboxConfig: sandboxConfig(sandbox),
	})
	if err != nil {
		return "", callError("pulling image", err)
	}
	return r.ImageRef, nil
}

func image(i *runtimeapi.Image) Image {
	out := Image{
		ID: i.Id, Tags: i.RepoTags, Digests: i.RepoDigests, Size: i.Size,
		Username: i.Username, Pinned: i.Pinned,
	}
	if i.Uid != nil {
		uid := i.Uid.Value
		out.UID = &uid
	}
	return out
}
