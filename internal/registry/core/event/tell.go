package event

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
)

// Fact is something of which the server itself warns about an object.
type Fact struct {
	About corev1.ObjectReference
	// By is what found it.
	By, Action, Reason, Message string
}

// Teller writes facts down as events of the newer form. The same fact again, by whichever
// server, counts up in the event that is there. It is safe for concurrent use.
type Teller struct {
	// Events is the storage of events.
	Events interface {
		rest.Creater
		rest.Updater
	}
	// Wall is real time.
	Wall clock.Wall
}

// Tell writes a fact down.
func (t Teller) Tell(ctx context.Context, f Fact) error {
	e := f.event(metav1.NewMicroTime(t.Wall.Now()))
	ctx = request.WithNamespace(ctx, e.Namespace)
	_, err := t.Events.Create(ctx, e, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, _, err = t.Events.Update(ctx, e.Name, again{e}, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("telling of %s %s/%s that %q: %w", f.About.Kind, f.About.Namespace, f.About.Name, f.Reason, err)
	}
	return nil
}

// event is the first of a fact. Its name is the same for the same fact.
func (f Fact) event(now metav1.MicroTime) *corev1.Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", f.About.UID, f.By, f.Reason, f.Message))
	namespace := f.About.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: f.About.Name + "." + hex.EncodeToString(sum[:8])},
		InvolvedObject: f.About,
		EventTime:      now, ReportingController: f.By, ReportingInstance: f.By,
		Type: corev1.EventTypeWarning, Action: f.Action, Reason: f.Reason, Message: f.Message,
	}
}

// again counts a fact up that was told before.
type again struct{ fact *corev1.Event }

var _ rest.UpdatedObjectInfo = again{}

// Preconditions implements rest.UpdatedObjectInfo.
func (again) Preconditions() *metav1.Preconditions { return nil }

// UpdatedObject implements rest.UpdatedObjectInfo.
func (a again) UpdatedObject(_ context.Context, old runtime.Object) (runtime.Object, error) {
	before, ok := old.(*corev1.Event)
	if !ok {
		return nil, fmt.Errorf("event %s is a %T", a.fact.Name, old)
	}
	e, times := before.DeepCopy(), int32(2)
	if e.Series != nil {
		times = e.Series.Count + 1
	}
	e.Series = &corev1.EventSeries{Count: times, LastObservedTime: a.fact.EventTime}
	return e, nil
}
