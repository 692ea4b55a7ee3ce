package credentialprovider

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	configv1 "k8s.io/kubelet/config/v1"
	pluginv1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/redacted"
	"laterna.dev/laterna/internal/runtime/cri"
)

// maxParallel is how many runs of one plugin go on at a time.
const maxParallel = 8

// Config is what plugins work with. All fields are required.
type Config struct {
	Settings Settings
	// Account reads a service account; its metadata is what counts.
	Account func(ctx context.Context, namespace, name string) (metav1.Object, error)
	// Token asks the API for a token of a service account.
	Token func(ctx context.Context, namespace, account string, r *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	// Clock is real time: it is by that that registries let logins end.
	Clock clock.Wall
	Log   *slog.Logger
}

// Providers are the plugins of a node. It is safe for concurrent use.
type Providers struct {
	cfg    Config
	all    []*provider
	tokens tokens
}

// provider is one plugin.
type provider struct {
	configv1.CredentialProvider
	program program
	cache   cache
	runs    singleflight.Group
}

// login is one entry of an answer.
type login struct {
	key      string
	username string
	password redacted.Text
}

// New returns the plugins that are configured.
func New(cfg Config) *Providers {
	p := &Providers{cfg: cfg, tokens: tokens{ask: cfg.Token, clock: cfg.Clock, all: map[tokenOf]remembered{}}}
	for _, c := range cfg.Settings.Providers {
		p.all = append(p.all, &provider{
			CredentialProvider: c,
			program:            program{path: cfg.Settings.program(c.Name), args: c.Args, env: c.Env, parallel: make(chan struct{}, maxParallel)},
			cache:              cache{clock: cfg.Clock, all: map[scope]kept{}},
		})
	}
	return p
}

// Credentials returns the logins that plugins have for an image, given by its repository
// (docker.io/library/busybox), and a pod; they need not fit the image. A plugin that fails
// has none: the error, which holds nothing secret, is joined from those, and the
// credentials of the others count nevertheless.
func (p *Providers) Credentials(ctx context.Context, pod *corev1.Pod, repository string) ([]imagepull.Credential, error) {
	var found []imagepull.Credential
	var errs []error
	for _, provider := range p.all {
		if !slices.ContainsFunc(provider.MatchImages, func(m string) bool { return imagepull.Matches(m, repository) }) {
			continue
		}
		logins, account, err := p.ask(ctx, provider, pod, repository)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			p.cfg.Log.Warn("credential provider has no logins", "provider", provider.Name, "image", repository,
				"namespace", pod.Namespace, "pod", pod.Name, "error", err, "stderr", said(err))
			errs = append(errs, fmt.Errorf("credential provider %s: %w", provider.Name, err))
			continue
		}
		for _, l := range logins {
			found = append(found, imagepull.Credential{
				Key: imagepull.KeyOf(l.key), Login: cri.Login{Username: l.username, Password: l.password}, Account: account,
			})
		}
	}
	return found, errors.Join(errs...)
}

func said(err error) string {
	var c complaint
	if errors.As(err, &c) {
		return c.stderr
	}
	return ""
}

// ask returns what is known of a plugin's answer, or asks it. account is whose token it was
// given.
func (p *Providers) ask(ctx context.Context, v *provider, pod *corev1.Pod, repository string) (logins []login, account imagepull.Source, err error) {
	q := question{image: repository}
	whose := ""
	if v.TokenAttributes != nil {
		name := pod.Spec.ServiceAccountName
		if name == "" && *v.TokenAttributes.RequireServiceAccount {
			return nil, account, nil
		}
		if name != "" {
			account, q, err = p.identify(ctx, v, pod, q)
			if err != nil || q.token.Reveal() == "" {
				return nil, account, err
			}
			whose = key(v, account, q)
		}
	}
	registry, _, _ := strings.Cut(repository, "/")
	if logins, ok := v.cache.find(scope{repository, whose}, scope{registry, whose}, scope{"", whose}); ok {
		return logins, account, nil
	}
	// Pods that ask for the same at the same time get one answer, and the first of them
	// may go meanwhile.
	run := v.runs.DoChan(digest(repository, digest(q.token.Reveal()), q.annotations), func() (any, error) {
		return v.program.ask(context.WithoutCancel(ctx), q)
	})
	select {
	case r := <-run:
		if r.Err != nil {
			return nil, account, r.Err
		}
		return v.take(r.Val.(*pluginv1.CredentialProviderResponse), repository, registry, whose), account, nil
	case <-ctx.Done():
		return nil, account, ctx.Err()
	}
}

// take keeps an answer as long as it may be kept, and returns its logins.
func (v *provider) take(r *pluginv1.CredentialProviderResponse, repository, registry, whose string) []login {
	logins := make([]login, 0, len(r.Auth))
	for _, k := range slices.Sorted(maps.Keys(r.Auth)) {
		logins = append(logins, login{key: k, username: r.Auth[k].Username, password: redacted.New(r.Auth[k].Password)})
	}
	d := v.DefaultCacheDuration.Duration
	if r.CacheDuration != nil {
		d = r.CacheDuration.Duration
	}
	s := scope{account: whose}
	switch r.CacheKeyType {
	case pluginv1.ImagePluginCacheKeyType:
		s.image = repository
	case pluginv1.RegistryPluginCacheKeyType:
		s.image = registry
	}
	if d > 0 {
		v.cache.keep(s, logins, min(d, longest))
	}
	return logins
}

// longest is how long an answer is kept at most: for ever.
const longest = 100 * 365 * 24 * time.Hour

// identify adds to a question the token and the annotations of the pod's service account.
// Where the account lacks an annotation by which workloads opt in, there is no token, and
// the plugin is not asked.
func (p *Providers) identify(ctx context.Context, v *provider, pod *corev1.Pod, q question) (imagepull.Source, question, error) {
	name := pod.Spec.ServiceAccountName
	sa, err := p.cfg.Account(ctx, pod.Namespace, name)
	if err != nil {
		return imagepull.Source{}, q, fmt.Errorf("reading service account %s/%s: %w", pod.Namespace, name, err)
	}
	annotations := sa.GetAnnotations()
	q.annotations = map[string]string{}
	for _, k := range v.TokenAttributes.RequiredServiceAccountAnnotationKeys {
		value, ok := annotations[k]
		if !ok {
			return imagepull.Source{}, q, nil
		}
		q.annotations[k] = value
	}
	for _, k := range v.TokenAttributes.OptionalServiceAccountAnnotationKeys {
		if value, ok := annotations[k]; ok {
			q.annotations[k] = value
		}
	}
	if q.token, err = p.tokens.of(ctx, pod, v.TokenAttributes.ServiceAccountTokenAudience); err != nil {
		return imagepull.Source{}, q, fmt.Errorf("token of service account %s/%s for it: %w", pod.Namespace, name, err)
	}
	return imagepull.Source{UID: sa.GetUID(), Namespace: pod.Namespace, Name: name}, q, nil
}

// key tells apart for whom an answer is kept: for a service account with its annotations,
// and where the plugin says so for one token of it.
func key(v *provider, account imagepull.Source, q question) string {
	token := ""
	if v.TokenAttributes.CacheType == configv1.TokenServiceAccountTokenCacheType {
		token = digest(q.token.Reveal())
	}
	return digest(account, q.annotations, token)
}

func digest(parts ...any) string {
	raw, _ := json.Marshal(parts) // texts, and maps of them, whose keys are sorted
	sum := sha256.Sum256(raw)
	return string(sum[:])
}
