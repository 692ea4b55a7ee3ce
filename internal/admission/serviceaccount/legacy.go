package serviceaccount

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
)

// mountSecret mounts the Secret with the token of a service account, under its own
// name as Kubernetes did. A volume of this Secret is used as it is.
func (p *Plugin) mountSecret(ctx context.Context, account *corev1.ServiceAccount, pod *corev1.Pod) error {
	secret, err := p.awaitToken(ctx, account)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == secret })
	name := secret
	if at >= 0 {
		name = pod.Spec.Volumes[at].Name
	} else if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == secret }) {
		name = p.config.VolumeName(secret + "-")
	}
	if mountEverywhere(pod, name) && at < 0 {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}},
		})
	}
	return nil
}

// awaitToken returns the name of the Secret with a service account's token. A
// controller makes it; a pod that comes too early waits a little and is then sent away
// to try again, in upstream's words.
func (p *Plugin) awaitToken(ctx context.Context, account *corev1.ServiceAccount) (string, error) {
	name, err := p.token(ctx, account)
	if err != nil || name != "" {
		return name, err
	}
	p.await(ctx, account.Namespace, account.Name, func(now *corev1.ServiceAccount) bool {
		name, err = p.token(ctx, now)
		return err != nil || name != ""
	})
	if err == nil && name == "" {
		timeout := apierrors.NewServerTimeout(corev1.Resource("serviceaccounts"), "create pod", 1)
		timeout.ErrStatus.Message = fmt.Sprintf("No API token found for service account %q, retry after the token is automatically created and added to the service account", account.Name)
		return "", timeout
	}
	return name, err
}

// token returns the first Secret that a service account lists and that holds a token of
// its own, "" for none.
func (p *Plugin) token(ctx context.Context, account *corev1.ServiceAccount) (string, error) {
	for _, ref := range account.Secrets {
		secret, err := p.config.Client.CoreV1().Secrets(account.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return "", err
		case serviceaccount.IsServiceAccountToken(secret, account):
			return secret.Name, nil
		}
	}
	return "", nil
}
