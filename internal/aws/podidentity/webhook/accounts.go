package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/clock"
)

// readTimeout bounds one read of the API; what the watch has seen serves after it.
const readTimeout = time.Second

// accounts knows what is said of service accounts: the API is asked for each pod, and what
// a watch has seen is kept for when it does not answer.
type accounts struct {
	client   kubernetes.Interface
	settings *podidentity.Settings
	clock    clock.Wall
	counts   *counts
	log      *slog.Logger
	// namespace has the ConfigMap, "" where there is none to look at.
	namespace string
	// grace is how long a service account may take to appear.
	grace time.Duration

	mu      sync.RWMutex
	seen    map[string]podidentity.Entry
	entries podidentity.Entries
	// read tells whether entries are known, be it that there are none.
	read bool
}

// follow keeps what is seen up to date until ctx ends.
func (a *accounts) follow(ctx context.Context, resync time.Duration) error {
	all := informers.NewSharedInformerFactoryWithOptions(a.client, resync, informers.WithTransform(a.stripped))
	if err := a.handle(all.Core().V1().ServiceAccounts().Informer(), a.see, a.forget); err != nil {
		return err
	}
	factories := []informers.SharedInformerFactory{all}
	if a.namespace != "" {
		one := informers.NewSharedInformerFactoryWithOptions(a.client, resync, informers.WithNamespace(a.namespace), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, podidentity.ConfigMapName).String()
		}))
		if err := a.handle(one.Core().V1().ConfigMaps().Informer(), a.see, a.forget); err != nil {
			return err
		}
		factories = append(factories, one)
	}
	for _, f := range factories {
		f.StartWithContext(ctx)
	}
	<-ctx.Done()
	for _, f := range factories {
		f.Shutdown()
	}
	return nil
}

func (a *accounts) handle(informer cache.SharedIndexInformer, see, forget func(any)) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: see, UpdateFunc: func(_, now any) { see(now) }, DeleteFunc: forget,
	})
	return err
}

// stripped keeps of a service account what it is followed for.
func (a *accounts) stripped(obj any) (any, error) {
	account, ok := obj.(*corev1.ServiceAccount)
	if !ok {
		return obj, nil
	}
	out := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name, UID: account.UID, ResourceVersion: account.ResourceVersion}}
	for key, value := range account.Annotations {
		if strings.HasPrefix(key, a.settings.Prefix+"/") {
			if out.Annotations == nil {
				out.Annotations = map[string]string{}
			}
			out.Annotations[key] = value
		}
	}
	return out, nil
}

func (a *accounts) see(obj any) {
	switch obj := obj.(type) {
	case *corev1.ServiceAccount:
		e := a.settings.OfAccount(obj.Annotations)
		if e.RoleARN != "" {
			a.counts.used.Set(1)
		}
		a.mu.Lock()
		a.seen[obj.Namespace+"/"+obj.Name] = e
		a.mu.Unlock()
	case *corev1.ConfigMap:
		if _, err := a.keep(obj); err != nil {
			a.log.Warn("ConfigMap is passed over, the last good one counts", "err", err)
		}
	}
}

func (a *accounts) forget(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch obj := obj.(type) {
	case *corev1.ServiceAccount:
		delete(a.seen, obj.Namespace+"/"+obj.Name)
	case *corev1.ConfigMap:
		a.entries, a.read = nil, true
	}
}

// keep parses the ConfigMap; nil is none. A broken one leaves what was before.
func (a *accounts) keep(m *corev1.ConfigMap) (podidentity.Entries, error) {
	var entries podidentity.Entries
	if m != nil {
		var err error
		if entries, err = a.settings.ParseEntries(m.Data[podidentity.ConfigMapKey]); err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s: %w", a.namespace, podidentity.ConfigMapName, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries, a.read = entries, true
	return entries, nil
}

// entry returns what the annotations of a service account say, nil if there is no such
// account. It fails only where neither the API nor the watch has told.
func (a *accounts) entry(ctx context.Context, namespace, name string) (*podidentity.Entry, error) {
	account, err := a.account(ctx, namespace, name)
	if apierrors.IsNotFound(err) {
		if account = a.await(ctx, namespace, name); account == nil {
			a.counts.missing.Inc()
			return nil, nil
		}
		err = nil
	}
	if err == nil {
		e := a.settings.OfAccount(account.Annotations)
		return &e, nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if e, ok := a.seen[namespace+"/"+name]; ok {
		a.log.Warn("service account is not readable, what was seen of it counts", "namespace", namespace, "name", name, "err", err)
		return &e, nil
	}
	return nil, fmt.Errorf("reading service account %s/%s: %w", namespace, name, err)
}

func (a *accounts) account(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return a.client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
}

// await watches for a service account to appear, as long as the grace period says.
func (a *accounts) await(ctx context.Context, namespace, name string) *corev1.ServiceAccount {
	if a.grace <= 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := a.clock.NewTimer(a.grace)
	defer timer.Stop()
	w, err := a.client.CoreV1().ServiceAccounts(namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String(),
	})
	if err != nil {
		return nil
	}
	defer w.Stop()
	for {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				return nil
			}
			if found, ok := event.Object.(*corev1.ServiceAccount); ok && found.Name == name {
				return found
			}
		case <-timer.C():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// fromConfigMap returns what the ConfigMap says.
func (a *accounts) fromConfigMap(ctx context.Context) (podidentity.Entries, error) {
	if a.namespace == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := a.client.CoreV1().ConfigMaps(a.namespace).Get(ctx, podidentity.ConfigMapName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return a.keep(nil)
	case err == nil:
		var entries podidentity.Entries
		if entries, err = a.keep(m); err == nil {
			return entries, nil
		}
	default:
		err = fmt.Errorf("reading ConfigMap %s/%s: %w", a.namespace, podidentity.ConfigMapName, err)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !a.read {
		return nil, err
	}
	a.log.Warn("ConfigMap is passed over, the last good one counts", "err", err)
	return a.entries, nil
}

// dump is what was seen, for a person.
func (a *accounts) dump() ([]byte, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return json.MarshalIndent(a.seen, "", " ")
}

// clear forgets what was seen, until it is seen again.
func (a *accounts) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen, a.entries, a.read = map[string]podidentity.Entry{}, nil, false
}
