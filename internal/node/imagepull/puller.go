package imagepull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Runtime is the part of the container runtime that pulls, see cri.Client.
type Runtime interface {
	ImageStatus(ctx context.Context, ref string) (*cri.Image, error)
	PullImage(ctx context.Context, ref string, sandbox *cri.SandboxSpec, login *cri.Login) (string, error)
}

// Config is what a Puller needs; all is required but Providers and
// Progress.
type Config struct {
	Runtime Runtime
	// Secret reads a Secret.
	Secret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Providers has logins besides those of Secrets; nil for none.
	Providers Providers
	// Progress has a mark of how far pulls of a repository are, which changes with what
	// comes; while a blob is open it does so with whole mebibytes. It is nil where nobody
	// knows, and then pulls are not given up that do not move.
	Progress func(ctx context.Context, repository string) (mark string, open bool, err error)
	// Missing tells that a pod names secrets that cannot be read.
	Missing func(pod *corev1.Pod, names []string)
	Records *Records
	// Verify says which images that are present are checked.
	Verify Verification
	// Parallel bounds the pulls that go on at a time.
	Parallel int
	// Clock is real time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Providers has the logins of the node's credential providers for a pod and an image,
// given by its repository. They need not fit the image. With an error it returns those of
// the providers that have not failed. It is internal/node/credentialprovider.
type Providers interface {
	Credentials(ctx context.Context, pod *corev1.Pod, repository string) ([]Credential, error)
}

// Puller pulls images. It is safe for concurrent use.
type Puller struct {
	cfg    Config
	places *places
}

// New returns a Puller.
func New(cfg Config) *Puller {
	return &Puller{cfg: cfg, places: newPlaces(cfg.Parallel, cfg.Clock)}
}

// CheckName says why a name is not an image's.
func (p *Puller) CheckName(image string) error {
	if _, err := repositoryOf(image); err != nil {
		return fmt.Errorf("couldn't parse image name %q: %w", image, err)
	}
	return nil
}

// Pull pulls an image for a pod and returns it, and how long the pull waited for others.
// Each credential of the pod that fits is tried in turn, and none at all only where none
// fits.
func (p *Puller) Pull(ctx context.Context, pod *corev1.Pod, image string, sandbox *cri.SandboxSpec) (found *cri.Image, waited time.Duration, err error) {
	fitting, lack, err := p.fitting(ctx, pod, image, true)
	if err != nil {
		return nil, 0, err
	}
	start := p.cfg.Clock.Now()
	free, ok := p.places.take(ctx, registryOf(image))
	if !ok {
		return nil, 0, ctx.Err()
	}
	defer free()
	waited = p.cfg.Clock.Since(start)
	done, err := p.cfg.Records.Begin(image)
	if err != nil {
		return nil, waited, err
	}
	defer done()
	ref, by, err := p.try(ctx, image, sandbox, fitting)
	if err != nil {
		return nil, waited, explained(err, lack)
	}
	found, err = p.cfg.Runtime.ImageStatus(ctx, ref)
	switch {
	case err != nil:
		return nil, waited, err
	case found == nil:
		return nil, waited, fmt.Errorf("the runtime pulled %s and does not know it", ref)
	}
	if err := p.cfg.Records.Pulled(found.ID, image, by); err != nil {
		return nil, waited, err
	}
	return found, waited, nil
}

// try pulls with one credential after the other. by is the one that it went with, nil for
// none.
func (p *Puller) try(ctx context.Context, image string, sandbox *cri.SandboxSpec, fitting []Credential) (ref string, by *Credential, err error) {
	if len(fitting) == 0 {
		ref, err = p.pullOnce(ctx, image, sandbox, nil)
		return ref, nil, err
	}
	var failed []error
	for _, c := range fitting {
		if ref, err = p.pullOnce(ctx, image, sandbox, &c.Login); err == nil {
			return ref, &c, nil
		}
		failed = append(failed, errors.New(c.Login.Hide(cri.Message(err))))
		if ctx.Err() != nil {
			break
		}
	}
	return "", nil, joined(failed)
}

// explained is the error of a pull for which credential providers had no logins.
func explained(err, lack error) error {
	if lack == nil {
		return err
	}
	return fmt.Errorf("%s (%s)", cri.Message(err), strings.ReplaceAll(lack.Error(), "\n", "; "))
}

// joined is errors as upstream writes them.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return fmt.Errorf("[%s]", strings.Join(texts, ", "))
}

// May says whether a pod may use an image that is present, as it is. Else it needs to be
// pulled again, with the pod's own credentials.
func (p *Puller) May(ctx context.Context, pod *corev1.Pod, image string, present *cri.Image) (bool, error) {
	known, err := p.cfg.Records.find(present.ID, image)
	switch {
	case err != nil:
		return false, err
	case p.cfg.Verify.trusts(known, image), known.record != nil && known.record.Anyone:
		return true, nil
	case known.record == nil:
		return false, nil
	}
	fitting, _, err := p.fitting(ctx, pod, image, false)
	if err != nil {
		return false, err
	}
	for _, c := range fitting {
		if p.cfg.Records.fits(known.record, &c) {
			return true, nil
		}
	}
	return false, nil
}

// fitting are a pod's credentials for an image: those of its secrets, and then those that
// the node's providers have for it. lack says which providers have failed. With tell,
// secrets that cannot be read are told of.
func (p *Puller) fitting(ctx context.Context, pod *corev1.Pod, image string, tell bool) (fitting []Credential, lack, err error) {
	repository, err := repositoryOf(image)
	if err != nil {
		return nil, nil, err
	}
	logins, err := p.secrets(ctx, pod, tell)
	if err != nil {
		return nil, nil, err
	}
	fitting = Match(logins, repository, image)
	if p.cfg.Providers == nil {
		return fitting, nil, nil
	}
	provided, lack := p.cfg.Providers.Credentials(ctx, pod, repository)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	return append(fitting, Match(provided, repository, image)...), lack, nil
}

// secrets are the logins of a pod's pull secrets.
func (p *Puller) secrets(ctx context.Context, pod *corev1.Pod, tell bool) (all []Credential, err error) {
	var missing []string
	for _, r := range pod.Spec.ImagePullSecrets {
		if r.Name == "" {
			continue
		}
		secret, err := p.cfg.Secret(ctx, pod.Namespace, r.Name)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			missing = append(missing, r.Name)
			p.cfg.Log.Warn("image pull secret not read", "namespace", pod.Namespace, "pod", pod.Name, "secret", r.Name, "error", err)
			continue
		}
		logins, err := FromSecret(secret)
		if err != nil {
			return nil, err
		}
		all = append(all, logins...)
	}
	if len(missing) > 0 && tell {
		p.cfg.Missing(pod, missing)
	}
	return all, nil
}

func registryOf(image string) string {
	repository, err := repositoryOf(image)
	if err != nil {
		return ""
	}
	host, _, _ := strings.Cut(repository, "/")
	return host
}
