package cri

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"laterna.dev/laterna/internal/redacted"
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

// Login is what a registry is told of who pulls.
type Login struct {
	Username                               string
	Password, IdentityToken, RegistryToken redacted.Text
}

// Hide is a text without the login's secrets.
func (l *Login) Hide(text string) string {
	basic := base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password.Reveal()))
	for _, secret := range []string{basic, l.Password.Reveal(), url.QueryEscape(l.Password.Reveal()), l.IdentityToken.Reveal(), l.RegistryToken.Reveal()} {
		if len(secret) >= minHidden {
			text = strings.ReplaceAll(text, secret, redacted.Shown)
		}
	}
	return text
}

// minHidden is the size of the shortest secret that Hide looks for: shorter ones are in
// every text.
const minHidden = 4

// PullImage pulls an image and returns the reference by which the runtime knows it. login
// is nil for a pull without credentials.
func (c *Client) PullImage(ctx context.Context, ref string, sandbox *SandboxSpec, login *Login) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	req := &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}, SandboxConfig: sandboxConfig(sandbox)}
	if login != nil {
		req.Auth = &runtimeapi.AuthConfig{
			Username: login.Username, Password: login.Password.Reveal(),
			IdentityToken: login.IdentityToken.Reveal(), RegistryToken: login.RegistryToken.Reveal(),
		}
	}
	r, err := c.image.PullImage(ctx, req)
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

// RemoveImage removes an image with all its names. It may be called again.
func (c *Client) RemoveImage(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.image.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: id}})
	return ignoreNotFound("removing image", err)
}

// ImageDir is a directory of the file system that holds the images.
func (c *Client) ImageDir(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.image.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
	if err != nil {
		return "", callError("asking for the file system of images", err)
	}
	for _, f := range r.GetImageFilesystems() {
		if dir := f.GetFsId().GetMountpoint(); dir != "" {
			return dir, nil
		}
	}
	return "", fmt.Errorf("asking for the file system of images: %w", ErrNotOffered)
}
