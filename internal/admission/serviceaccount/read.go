package serviceaccount

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// patience is how long a pod waits for the default service account of a namespace
// that was just made. Upstream looks ten times, 100 to 200 ms apart.
const patience = 1500 * time.Millisecond

// read returns a service account as the store has it.
func (p *Plugin) read(ctx context.Context, namespace, account string) (*corev1.ServiceAccount, error) {
	found, err := p.config.Client.CoreV1().ServiceAccounts(namespace).Get(ctx, account, metav1.GetOptions{})
	switch {
	case err == nil:
		return found, nil
	case !apierrors.IsNotFound(err):
		return nil, err
	case account == defaultName:
		if found := p.await(ctx, namespace, defaultName, func(*corev1.ServiceAccount) bool { return true }); found != nil {
			return found, nil
		}
	}
	return nil, apierrors.NewNotFound(corev1.Resource("serviceaccount"), account)
}

// await watches a service account until it is as good says, which a controller brings
// about, and returns nil when patience ends.
func (p *Plugin) await(ctx context.Context, namespace, account string, good func(*corev1.ServiceAccount) bool) *corev1.ServiceAccount {
	timer := p.config.Clock.NewTimer(patience)
	defer timer.Stop()
	watching, err := p.config.Client.CoreV1().ServiceAccounts(namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", account).String(),
	})
	if err != nil {
		return nil
	}
	defer watching.Stop()
	for {
		select {
		case event, open := <-watching.ResultChan():
			if !open {
				return nil
			}
			if found, ok := event.Object.(*corev1.ServiceAccount); ok && found.Name == account && event.Type != watch.Deleted && good(found) {
				return found
			}
		case <-timer.C():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
