// Package uses writes down what the check of tokens notices, after the answer: on which day
// the token of a Secret was last used, and Events on pods in which a client uses stale
// tokens.
//
// It owns how often something is written. What is noticed is internal/tokens/review's.
package uses

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/lru"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/review"
)

const (
	// usesWaiting bounds what waits to be written down; what does not fit is told
	// again by the next use.
	usesWaiting = 256
	// usesTold bounds the memory of what was written down.
	usesTold = 8192
	// staleEventPause is how long a pod gets no second Event about stale tokens.
	staleEventPause = time.Hour
	// staleEventRate and staleEventBurst bound the Events of all pods together.
	staleEventRate, staleEventBurst = 1, 20
)

// Recorder writes down the uses of tokens. It implements review.Observer.
type Recorder struct {
	client kubernetes.Interface
	clock  clock.Wall // wall time, which Events are in
	log    *slog.Logger

	work chan any // review.KeptUse or StaleUse
	// told has what is, or will be, written down: a review.KeptUse, or the UID
	// of a pod with the time of its Event.
	told  *lru.Cache
	limit flowcontrol.RateLimiter
}

// New returns a Recorder that writes nothing before Run. clk is wall time.
func New(client kubernetes.Interface, clk clock.Wall, log *slog.Logger) *Recorder {
	return &Recorder{
		client: client, clock: clk, log: log,
		work:  make(chan any, usesWaiting),
		told:  lru.New(usesTold),
		limit: flowcontrol.NewTokenBucketRateLimiter(staleEventRate, staleEventBurst),
	}
}

// KeptTokenUsed implements review.Observer.
func (u *Recorder) KeptTokenUsed(use review.KeptUse) {
	if _, ok := u.told.Get(use); ok {
		return
	}
	u.told.Add(use, nil)
	u.offer(use, use)
}

// StaleTokenUsed implements review.Observer.
func (u *Recorder) StaleTokenUsed(use review.StaleUse) {
	pod, now := types.UID(use.PodUID), u.clock.Now()
	if at, ok := u.told.Get(pod); use.Pod == "" || ok && now.Sub(at.(time.Time)) < staleEventPause {
		return
	}
	if !u.limit.TryAccept() {
		return
	}
	u.told.Add(pod, now)
	u.offer(use, pod)
}

// offer queues work, or forgets that it was told when there is too much.
func (u *Recorder) offer(use, told any) {
	select {
	case u.work <- use:
	default:
		u.told.Remove(told)
	}
}

// Run writes until ctx ends.
func (u *Recorder) Run(ctx context.Context) {
	for {
		select {
		case use := <-u.work:
			if err := u.write(ctx, use); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				u.log.Warn("the use of a token could not be written down", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (u *Recorder) write(ctx context.Context, use any) error {
	switch use := use.(type) {
	case review.KeptUse:
		err := u.label(ctx, use)
		if err != nil {
			u.told.Remove(use)
		}
		return err
	case review.StaleUse:
		_, err := u.client.CoreV1().Events(use.Namespace).Create(ctx, u.event(use), metav1.CreateOptions{})
		return err
	}
	return fmt.Errorf("recording the use of a token: unknown kind of use %T", use)
}

// label notes the day of the last use on a Secret, unless it is another one by now.
func (u *Recorder) label(ctx context.Context, use review.KeptUse) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": use.UID, "labels": map[string]string{review.LastUsedLabel: use.Day},
	}})
	if err != nil {
		return err
	}
	_, err = u.client.CoreV1().Secrets(use.Namespace).Patch(ctx, use.Secret, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (u *Recorder) event(use review.StaleUse) *corev1.Event {
	now := u.clock.Now()
	since := use.For.Round(time.Second)
	message := fmt.Sprintf("A token of service account %s is in use although this pod has had a newer one for %s: a client read its token file once and not again", use.ServiceAccount, since)
	if use.Reason == review.WarnAfter {
		message = fmt.Sprintf("A token of service account %s is in use %s after its file should have been read again; it is good only because the life of injected tokens is extended", use.ServiceAccount, since)
	}
	return &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: use.Namespace, Name: fmt.Sprintf("%s.%x", use.Pod, now.UnixNano())},
		InvolvedObject:      corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: use.Namespace, Name: use.Pod, UID: types.UID(use.PodUID)},
		Type:                corev1.EventTypeWarning,
		Reason:              "StaleToken",
		Message:             message,
		Source:              corev1.EventSource{Component: "laterna-apiserver"},
		ReportingController: "laterna-apiserver",
		FirstTimestamp:      metav1.NewTime(now),
		LastTimestamp:       metav1.NewTime(now),
		Count:               1,
	}
}
