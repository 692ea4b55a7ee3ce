// Package serviceaccounttoken keeps the Secrets that hold a token of a service account
// (type kubernetes.io/service-account-token): it fills them in, deletes those whose
// account is gone, makes one for every account where the server is told to, marks and
// deletes those of its own making that nobody uses, and says since when uses are noted.
//
// Checking such tokens, and noting on which day one is used, is done by
// internal/tokens/review and internal/apiserver; mounting them in pods by
// internal/admission/serviceaccount.
package serviceaccounttoken

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's.
const Name = "service-account-token-controller"

// workers is how many objects are worked on at a time.
const workers = 2

// Config is what a Controller is made of. All fields but Create are required.
type Config struct {
	env.Env
	// Mint issues a token that says claims.
	Mint func(ctx context.Context, claims boundtoken.LegacyClaims) (boundtoken.Token, error)
	// CA is the bundle by which the API server is verified, in PEM.
	CA []byte
	// Create makes a Secret for every service account that lists none.
	Create bool
	// CleanUpPeriod is how long a Secret of this controller's making may be unused
	// before it is marked, and then marked before it is deleted.
	CleanUpPeriod time.Duration
	// Clock, which may be a test clock, tells the days of use.
	Clock clock.API
}

// Controller keeps the Secrets.
type Controller struct {
	config Config
	loop   *run.Loop
	queue  *queue.Queue
	// tokens and tracking watch what is of use here alone.
	tokens, tracking cache.SharedIndexInformer
	decide           reconciler
	clean            cleaner
}

// Prefixes of keys; what follows are names, parted by slashes.
const (
	secretKey    = "secret/"    // namespace, secret
	accountKey   = "account/"   // namespace, account
	referenceKey = "reference/" // namespace, account, secret that is gone
	trackingKey  = "tracking/"
)

// accountIndex finds the Secrets of an account, by namespace and name.
const accountIndex = "account"

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	core := config.Informers.Core().V1()
	c := &Controller{
		config: config,
		loop:   run.New(config.Env, "service accounts and their Secrets"),
		tokens: coreinformers.NewFilteredSecretInformer(config.Client, metav1.NamespaceAll, 0,
			cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc, accountIndex: byAccount},
			selecting("type", string(corev1.SecretTypeServiceAccountToken))),
		tracking: coreinformers.NewFilteredConfigMapInformer(config.Client, metav1.NamespaceSystem, 0,
			cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, selecting("metadata.name", trackingName)),
	}
	accounts := core.ServiceAccounts()
	c.decide = c.reconciler(accounts.Lister())
	c.clean = c.cleaner(accounts.Lister(), core.Pods().Lister())
	c.queue = c.loop.Queue(workers, c.work)
	c.loop.RecordAs(Name)
	c.queue.Add(trackingKey)
	c.loop.Beside(c.clean.run)
	c.loop.Watch(accounts.Informer(), run.Handlers(c.accountChanged))
	c.loop.Watch(core.Pods().Informer(), cache.ResourceEventHandlerFuncs{})
	c.loop.WatchOwn(c.tracking, run.Handlers(func(any) { c.queue.Add(trackingKey) }))
	secrets := run.Present(c.secretChanged)
	secrets.DeleteFunc = c.secretGone
	c.loop.WatchOwn(c.tokens, secrets)
	return c
}

func selecting(field, value string) func(*metav1.ListOptions) {
	return func(o *metav1.ListOptions) { o.FieldSelector = fields.OneTermEqualSelector(field, value).String() }
}

func byAccount(obj any) ([]string, error) {
	if s, ok := obj.(*corev1.Secret); ok {
		return []string{s.Namespace + "/" + s.Annotations[corev1.ServiceAccountNameKey]}, nil
	}
	return nil, nil
}

func (c *Controller) accountChanged(obj any) {
	if account, ok := run.NameOf(obj); ok {
		c.queue.Add(accountKey + account.String())
	}
}

func (c *Controller) secretChanged(obj any) {
	if secret, ok := run.NameOf(obj); ok {
		c.queue.Add(secretKey + secret.String())
	}
}

func (c *Controller) secretGone(obj any) {
	if s, ok := run.Last[*corev1.Secret](obj); ok && s.Annotations[corev1.ServiceAccountNameKey] != "" {
		c.queue.Add(referenceKey + s.Namespace + "/" + s.Annotations[corev1.ServiceAccountNameKey] + "/" + s.Name)
	}
}

// Run keeps the Secrets until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// work reconciles what a key names.
func (c *Controller) work(ctx context.Context, key string) error {
	kind, rest, _ := strings.Cut(key, "/")
	names := strings.Split(rest, "/")
	switch {
	case kind+"/" == trackingKey:
		return c.track(ctx)
	case kind+"/" == secretKey && len(names) == 2:
		return c.decide.secret(ctx, names[0], names[1])
	case kind+"/" == accountKey && len(names) == 2:
		return c.decide.account(ctx, names[0], names[1])
	case kind+"/" == referenceKey && len(names) == 3:
		return c.decide.reference(ctx, names[0], names[1], names[2])
	}
	return fmt.Errorf("no such key: %q", key)
}

// reconciler returns decisions that read from caches and write to the API.
func (c *Controller) reconciler(accounts corelisters.ServiceAccountLister) reconciler {
	client := c.config.Client.CoreV1()
	tokens := corelisters.NewSecretLister(c.tokens.GetIndexer())
	return reconciler{
		ca: c.config.CA, create: c.config.Create, mint: c.config.Mint, log: c.config.Log,
		cachedAccount: func(namespace, name string) (*corev1.ServiceAccount, error) {
			return accounts.ServiceAccounts(namespace).Get(name)
		},
		liveAccount: func(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
			return client.ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		cachedSecret: func(namespace, name string) (*corev1.Secret, error) { return tokens.Secrets(namespace).Get(name) },
		liveSecret: func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
			return client.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		secretsOf: c.secretsOf,
		secretsIn: func(ctx context.Context, namespace string) ([]corev1.Secret, error) {
			options := metav1.ListOptions{}
			selecting("type", string(corev1.SecretTypeServiceAccountToken))(&options)
			all, err := client.Secrets(namespace).List(ctx, options)
			if err != nil {
				return nil, err
			}
			return all.Items, nil
		},
		now: c.config.Wall.Now,
		later: func(namespace, name string, after time.Duration) {
			c.queue.AddAfter(secretKey+namespace+"/"+name, after)
		},
		tell: func(s *corev1.Secret, text string) {
			c.loop.Events().Event(s, corev1.EventTypeWarning, "ServiceAccountNotFound", text)
		},
		createSecret: func(ctx context.Context, s *corev1.Secret) (*corev1.Secret, error) {
			return client.Secrets(s.Namespace).Create(ctx, s, metav1.CreateOptions{})
		},
		updateSecret: run.Commits(c.config.Env, func(ctx context.Context, s *corev1.Secret, o metav1.UpdateOptions) (*corev1.Secret, error) {
			return client.Secrets(s.Namespace).Update(ctx, s, o)
		}),
		deleteSecret: func(ctx context.Context, s *corev1.Secret) error {
			return client.Secrets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))})
		},
		updateAccount: run.Commits(c.config.Env, func(ctx context.Context, sa *corev1.ServiceAccount, o metav1.UpdateOptions) (*corev1.ServiceAccount, error) {
			return client.ServiceAccounts(sa.Namespace).Update(ctx, sa, o)
		}),
	}
}

func (c *Controller) secretsOf(namespace, account string) ([]*corev1.Secret, error) {
	objs, err := c.tokens.GetIndexer().ByIndex(accountIndex, namespace+"/"+account)
	secrets := make([]*corev1.Secret, 0, len(objs))
	for _, obj := range objs {
		if s, ok := obj.(*corev1.Secret); ok {
			secrets = append(secrets, s)
		}
	}
	return secrets, err
}
