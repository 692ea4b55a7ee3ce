package serviceaccounttoken

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/run"
)

// cleanInterval is how often unused Secrets are looked for, on the test clock.
const cleanInterval = 24 * time.Hour

// Labels of Secrets; tokenreview reads the one and has the other written.
const (
	lastUsedLabel     = "kubernetes.io/legacy-token-last-used"
	invalidSinceLabel = "kubernetes.io/legacy-token-invalid-since"
)

// cleaner marks and deletes Secrets that a controller made and nobody uses; its fields
// read from caches and write to the API.
type cleaner struct {
	period time.Duration
	clock  clock.API
	log    *slog.Logger

	trackedSince func(ctx context.Context) (time.Time, error)
	secrets      func() ([]*corev1.Secret, error)
	account      func(namespace, name string) (*corev1.ServiceAccount, error)
	pods         func(namespace string) ([]*corev1.Pod, error)
	mark         func(ctx context.Context, s *corev1.Secret, day string) error
	remove       func(ctx context.Context, s *corev1.Secret) error
}

func (c *Controller) cleaner(accounts corelisters.ServiceAccountLister, pods corelisters.PodLister) cleaner {
	client := c.config.Client.CoreV1()
	tokens := corelisters.NewSecretLister(c.tokens.GetIndexer())
	return cleaner{
		period: c.config.CleanUpPeriod, clock: c.config.Clock, log: c.config.Log,
		trackedSince: c.trackedSince,
		secrets:      func() ([]*corev1.Secret, error) { return tokens.List(labels.Everything()) },
		account: func(namespace, name string) (*corev1.ServiceAccount, error) {
			return accounts.ServiceAccounts(namespace).Get(name)
		},
		pods: func(namespace string) ([]*corev1.Pod, error) { return pods.Pods(namespace).List(labels.Everything()) },
		mark: func(ctx context.Context, s *corev1.Secret, day string) error {
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
				"uid": s.UID, "labels": map[string]string{invalidSinceLabel: day},
			}})
			if err != nil {
				return err
			}
			_, err = client.Secrets(s.Namespace).Patch(ctx, s.Name, types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
		remove: func(ctx context.Context, s *corev1.Secret) error {
			return client.Secrets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion}})
		},
	}
}

// run cleans at once and then every day.
func (c cleaner) run(ctx context.Context) {
	ticker := c.clock.NewTicker(cleanInterval)
	defer ticker.Stop()
	for {
		if err := c.clean(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("unused tokens in secrets could not be looked for", "error", err)
		}
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
	}
}

// clean marks or deletes what is due, by upstream's rules.
func (c cleaner) clean(ctx context.Context) error {
	since, err := c.trackedSince(ctx)
	if apierrors.IsNotFound(err) {
		return nil // nothing is noted yet
	}
	if err != nil {
		return err
	}
	now := c.clock.Now().UTC()
	if now.Before(since.Add(c.period)) {
		return nil
	}
	secrets, err := c.secrets()
	if err != nil {
		return fmt.Errorf("listing secrets: %w", err)
	}
	for _, s := range secrets {
		unused, err := c.unused(s, now)
		if err != nil {
			return err
		}
		if unused {
			c.dispose(ctx, s, now)
		}
	}
	return nil
}

// dispose marks a Secret, or deletes one that has been marked for long enough.
func (c cleaner) dispose(ctx context.Context, s *corev1.Secret, now time.Time) {
	log := c.log.With("namespace", s.Namespace, "secret", s.Name)
	marked := s.Labels[invalidSinceLabel]
	if _, err := time.Parse(dateFormat, marked); err != nil {
		log.Info("a secret's token was not used for long and is refused from now on", "for", c.period)
		if err := c.mark(ctx, s, now.Format(dateFormat)); err != nil && !run.Overtaken(err) {
			log.Warn("a secret with an unused token could not be marked", "error", err)
		}
		return
	}
	if marked >= c.oldest(now) {
		return
	}
	log.Info("deleting a secret with an unused token", "marked", marked)
	if err := c.remove(ctx, s); err != nil && !run.Overtaken(err) {
		log.Warn("a secret with an unused token could not be deleted", "error", err)
	}
}

// oldest is the first day that is within the period.
func (c cleaner) oldest(now time.Time) string { return now.Add(-c.period).Format(dateFormat) }

// unused tells whether a Secret is of a controller's making, old, and neither used nor
// mounted. In doubt it is not.
func (c cleaner) unused(s *corev1.Secret, now time.Time) (bool, error) {
	if s.DeletionTimestamp != nil || !s.CreationTimestamp.Time.Before(now.Add(-c.period)) {
		return false, nil
	}
	if used, ok := s.Labels[lastUsedLabel]; ok {
		if _, err := time.Parse(dateFormat, used); err != nil || used >= c.oldest(now) {
			return false, nil
		}
	}
	sa, err := c.account(s.Namespace, s.Annotations[corev1.ServiceAccountNameKey])
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading service account: %w", err)
	}
	if !sameAccount(s, sa) || !slices.ContainsFunc(sa.Secrets, func(ref corev1.ObjectReference) bool { return ref.Name == s.Name }) {
		return false, nil
	}
	pods, err := c.pods(s.Namespace)
	if err != nil {
		return false, fmt.Errorf("listing pods: %w", err)
	}
	return !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return names(p, s.Name) }), nil
}
