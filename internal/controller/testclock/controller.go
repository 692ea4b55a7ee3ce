// Package testclock keeps a process's clock at the offset that is stored in the
// cluster, so that every component of a system started with --test-clock moves
// together when `laterna clock advance` is called.
//
// The offset lives in a ConfigMap, so it survives restarts. It owns that ConfigMap;
// the clock itself, and the timers that follow it, live in internal/clock.
package testclock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/follow"
)

const (
	// Name is the controller's.
	Name = "testclock-controller"
	// Namespace and ConfigMap say where the offset is.
	Namespace = "kube-system"
	ConfigMap = "laterna-test-clock"
	// Offset is the key of the wanted offset, as time.ParseDuration reads it.
	Offset = "offset"
	// Applied is the key of the offset that the server's clock has taken over.
	Applied = "applied"

	// MaxOffset is how far the clock may be from wall time, in both directions.
	MaxOffset = 100 * 365 * 24 * time.Hour
)

// Settable is a clock whose offset can be set.
type Settable interface {
	SetOffset(time.Duration)
	Offset() time.Duration
}

// Config is what a Controller needs. All fields but Owner and Settled are required.
type Config struct {
	Client kubernetes.Interface
	Clock  Settable
	// Wall times the retries, which must not move with the clock.
	Wall clock.Wall
	Log  *slog.Logger
	// Owner is true in the server: it makes the ConfigMap where it is missing
	// and reports what it has applied. Agents only follow.
	Owner bool
	// Settled is called once, when the stored offset was applied for the first time.
	Settled func()
}

// Controller moves one clock.
type Controller struct {
	cfg   Config
	ready atomic.Bool
}

// New returns a controller that does nothing until Run.
func New(cfg Config) *Controller { return &Controller{cfg: cfg} }

// Ready returns nil once the stored offset has been applied.
func (c *Controller) Ready() error {
	if !c.ready.Load() {
		return errors.New("the stored clock offset is not applied yet")
	}
	return nil
}

// Run follows the stored offset until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	object(c.cfg.Client).Run(ctx, c.cfg.Wall, follow.Handler[*corev1.ConfigMap]{
		Seen:    c.apply,
		Missing: c.missing,
		Failed: func(err error) bool {
			c.cfg.Log.Warn("following the test clock failed, trying again", "error", err)
			return true
		},
	})
	return nil
}

// missing makes the ConfigMap in the server. Agents wait for it.
func (c *Controller) missing(ctx context.Context) error {
	if !c.cfg.Owner {
		return fmt.Errorf("reading the stored offset: %w", errMissing)
	}
	cm, err := c.cfg.Client.CoreV1().ConfigMaps(Namespace).Create(ctx, initial(), metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil // the watch sees that of another server
	case err != nil:
		return fmt.Errorf("making the stored offset: %w", err)
	}
	return c.apply(ctx, cm)
}

func initial() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: ConfigMap},
		Data:       map[string]string{Offset: "0s"},
	}
}

// apply moves the clock and, in the server, says so. A value that is no duration
// leaves the clock where it is.
func (c *Controller) apply(ctx context.Context, cm *corev1.ConfigMap) error {
	d, err := time.ParseDuration(cm.Data[Offset])
	if err != nil {
		c.cfg.Log.Error("the stored clock offset is not a duration, the clock stays", "offset", cm.Data[Offset])
		c.settle()
		return nil
	}
	if d != c.cfg.Clock.Offset() {
		c.cfg.Log.Info("moving the clock", "offset", d.String())
	}
	c.cfg.Clock.SetOffset(d)
	c.settle()
	if !c.cfg.Owner || cm.Data[Applied] == cm.Data[Offset] {
		return nil
	}
	patch := fmt.Appendf(nil, `{"data":{%q:%q}}`, Applied, cm.Data[Offset])
	_, err = c.cfg.Client.CoreV1().ConfigMaps(Namespace).Patch(ctx, ConfigMap, mergePatch, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reporting the applied offset: %w", err)
	}
	return nil
}

// settle notes that the clock shows the time of the system.
func (c *Controller) settle() {
	if !c.ready.Swap(true) && c.cfg.Settled != nil {
		c.cfg.Settled()
	}
}

// Advance adds d (which may be negative) to the stored offset and returns the new
// offset once the server's clock has taken it over, or ctx ends. It fails with a
// NotFound error when the system runs without a test clock.
func Advance(ctx context.Context, client kubernetes.Interface, d time.Duration) (time.Duration, error) {
	var offset time.Duration
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		offset, err = advance(ctx, client, d)
		return err
	})
	return offset, err
}

// advance is one try of Advance. The watch begins before the write, so that the
// answer cannot be missed.
func advance(ctx context.Context, client kubernetes.Interface, d time.Duration) (time.Duration, error) {
	cm, version, found, err := object(client).Read(ctx)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, errMissing
	}
	before, err := time.ParseDuration(cm.Data[Offset])
	if err != nil {
		return 0, fmt.Errorf("the stored offset %q is not a duration: %w", cm.Data[Offset], err)
	}
	if d == 0 {
		return before, nil // nothing changes, so no answer would come
	}
	w, err := object(client).From(ctx, version)
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	offset := before + d
	if d > 2*MaxOffset || d < -2*MaxOffset || offset > MaxOffset || offset < -MaxOffset {
		return 0, fmt.Errorf("%s from %s is further than %s from wall time", d, before, MaxOffset)
	}
	cm.Data[Offset] = offset.String()
	if _, err := client.CoreV1().ConfigMaps(Namespace).Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		return 0, err
	}
	return offset, awaitApplied(ctx, w, offset.String())
}
