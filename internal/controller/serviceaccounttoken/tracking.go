package serviceaccounttoken

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// trackingName is the ConfigMap in kube-system that says since which day uses of
	// tokens in Secrets are noted, under trackingData.
	trackingName = "kube-apiserver-legacy-service-account-token-tracking"
	trackingData = "since"
	dateFormat   = "2006-01-02"
	// trackingPause is the pause while the namespace is missing.
	trackingPause = time.Second
)

// track makes the ConfigMap, or mends one that does not say a date.
func (c *Controller) track(ctx context.Context) error {
	maps := c.config.Client.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	today := c.config.Clock.Now().UTC().Format(dateFormat)
	obj, ok, err := c.tracking.GetIndexer().GetByKey(cache.NewObjectName(metav1.NamespaceSystem, trackingName).String())
	if err != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", trackingName, err)
	}
	have, _ := obj.(*corev1.ConfigMap)
	if !ok || have == nil {
		_, err := maps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: trackingName},
			Data:       map[string]string{trackingData: today},
		}, metav1.CreateOptions{})
		switch {
		case apierrors.IsNotFound(err): // the namespace is not there yet
			c.queue.AddAfter(trackingKey, trackingPause)
			return nil
		case err != nil && !apierrors.IsAlreadyExists(err):
			return fmt.Errorf("creating ConfigMap %s: %w", trackingName, err)
		}
		return nil
	}
	if _, err := time.Parse(dateFormat, have.Data[trackingData]); err == nil {
		return nil
	}
	mended := have.DeepCopy()
	if mended.Data == nil {
		mended.Data = map[string]string{}
	}
	mended.Data[trackingData] = today
	if _, err := maps.Update(ctx, mended, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("repairing ConfigMap %s: %w", trackingName, err)
	}
	return nil
}

// trackedSince returns the first moment since which every use is noted: the day after
// that of the ConfigMap.
func (c *Controller) trackedSince(ctx context.Context) (time.Time, error) {
	have, err := c.config.Client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, trackingName, metav1.GetOptions{})
	if err != nil {
		return time.Time{}, err
	}
	day, err := time.Parse(dateFormat, have.Data[trackingData])
	if err != nil {
		return time.Time{}, fmt.Errorf("ConfigMap %s: %s is not a date", trackingName, trackingData)
	}
	return day.AddDate(0, 0, 1), nil
}
