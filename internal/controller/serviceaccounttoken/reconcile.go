package serviceaccounttoken

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/controller/run"
)

// reconciler decides about Secrets and accounts; its fields read from caches and from
// the API, and write to the API.
type reconciler struct {
	ca     []byte
	create bool
	mint   func(ctx context.Context, claims boundtoken.LegacyClaims) (boundtoken.Token, error)
	log    *slog.Logger

	cachedAccount func(namespace, name string) (*corev1.ServiceAccount, error)
	liveAccount   func(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
	cachedSecret  func(namespace, name string) (*corev1.Secret, error)
	liveSecret    func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	secretsOf     func(namespace, account string) ([]*corev1.Secret, error)
	createSecret  func(ctx context.Context, s *corev1.Secret) (*corev1.Secret, error)
	updateSecret  run.Commit[*corev1.Secret]
	deleteSecret  func(ctx context.Context, s *corev1.Secret) error
	updateAccount run.Commit[*corev1.ServiceAccount]
	// secretsIn reads the Secrets with tokens of a namespace from the API.
	secretsIn func(ctx context.Context, namespace string) ([]corev1.Secret, error)
	// later looks at a Secret again, tell says why one is deleted.
	later func(namespace, name string, after time.Duration)
	tell  func(s *corev1.Secret, text string)
	now   func() time.Time
}

// patience is how long a Secret may be there before the account that it names.
const patience = 10 * time.Second

// secret fills a Secret in, or deletes it when its account is gone.
func (r reconciler) secret(ctx context.Context, namespace, name string) error {
	s, err := r.cachedSecret(namespace, name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading secret: %w", err)
	}
	if s.DeletionTimestamp != nil || s.Type != corev1.SecretTypeServiceAccountToken || s.Annotations[corev1.ServiceAccountNameKey] == "" {
		return nil
	}
	account, err := r.accountOf(ctx, s)
	if err != nil {
		return fmt.Errorf("reading service account: %w", err)
	}
	if account == nil {
		return r.drop(ctx, s)
	}
	return r.fill(ctx, s, account)
}

// drop deletes a Secret without an account. One that never had one may stand before it in
// a file that is being applied, and gets a while.
func (r reconciler) drop(ctx context.Context, s *corev1.Secret) error {
	name := s.Annotations[corev1.ServiceAccountNameKey]
	if left := s.CreationTimestamp.Add(patience).Sub(r.now()); left > 0 && s.Annotations[corev1.ServiceAccountUIDKey] == "" {
		r.later(s.Namespace, s.Name, left)
		return nil
	}
	err := r.deleteSecret(ctx, s)
	switch {
	case run.Overtaken(err):
		return nil
	case err != nil:
		return fmt.Errorf("deleting secret of a service account that is gone: %w", err)
	case s.Annotations[corev1.ServiceAccountUIDKey] == "":
		r.tell(s, fmt.Sprintf("The Secret was deleted: it is for the token of service account %q, which is not there (annotation %s); make the account first", name, corev1.ServiceAccountNameKey))
	}
	return nil
}

// accountOf returns the account that a Secret is for, nil when it is gone. Absence is
// confirmed by the store: the caches of accounts and Secrets are not of one moment.
func (r reconciler) accountOf(ctx context.Context, s *corev1.Secret) (*corev1.ServiceAccount, error) {
	name := s.Annotations[corev1.ServiceAccountNameKey]
	if sa, err := r.cachedAccount(s.Namespace, name); err == nil && sameAccount(s, sa) {
		return sa, nil
	}
	sa, err := r.liveAccount(ctx, s.Namespace, name)
	if apierrors.IsNotFound(err) || err == nil && !sameAccount(s, sa) {
		return nil, nil
	}
	return sa, err
}

// sameAccount tells whether a Secret is of this account, or may become so.
func sameAccount(s *corev1.Secret, sa *corev1.ServiceAccount) bool {
	uid := types.UID(s.Annotations[corev1.ServiceAccountUIDKey])
	return s.Annotations[corev1.ServiceAccountNameKey] == sa.Name && (uid == "" || uid == sa.UID)
}

func (r reconciler) complete(s *corev1.Secret) bool {
	return bytes.Equal(s.Data[corev1.ServiceAccountRootCAKey], r.ca) &&
		len(s.Data[corev1.ServiceAccountNamespaceKey]) > 0 && len(s.Data[corev1.ServiceAccountTokenKey]) > 0
}

func (r reconciler) fill(ctx context.Context, s *corev1.Secret, sa *corev1.ServiceAccount) error {
	if r.complete(s) {
		return nil
	}
	if s.Immutable != nil && *s.Immutable {
		r.log.Warn("an immutable secret cannot be filled in", "namespace", s.Namespace, "secret", s.Name)
		return nil
	}
	filled, err := r.filled(ctx, s, sa)
	if err != nil {
		return err
	}
	// A conflict comes back with what is there now.
	if _, err := r.updateSecret(ctx, s, filled); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("filling in secret: %w", err)
	}
	return nil
}

// filled returns a copy of a Secret that has everything.
func (r reconciler) filled(ctx context.Context, s *corev1.Secret, sa *corev1.ServiceAccount) (*corev1.Secret, error) {
	s = s.DeepCopy()
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Annotations[corev1.ServiceAccountNameKey] = sa.Name
	s.Annotations[corev1.ServiceAccountUIDKey] = string(sa.UID)
	s.Data[corev1.ServiceAccountRootCAKey] = r.ca
	if len(s.Data[corev1.ServiceAccountNamespaceKey]) == 0 {
		s.Data[corev1.ServiceAccountNamespaceKey] = []byte(s.Namespace)
	}
	if len(s.Data[corev1.ServiceAccountTokenKey]) == 0 {
		token, err := r.mint(ctx, boundtoken.NewLegacyClaims(s.Namespace, s.Name, boundtoken.Ref{Name: sa.Name, UID: string(sa.UID)}))
		if err != nil {
			return nil, fmt.Errorf("issuing token: %w", err)
		}
		s.Data[corev1.ServiceAccountTokenKey] = []byte(token.Reveal())
	}
	return s, nil
}

// account looks at the Secrets of an account that came, changed or went, and makes it
// one where it has none.
func (r reconciler) account(ctx context.Context, namespace, name string) error {
	secrets, err := r.secretsOf(namespace, name)
	if err != nil {
		return fmt.Errorf("finding secrets: %w", err)
	}
	for _, s := range secrets {
		if err := r.secret(ctx, s.Namespace, s.Name); err != nil {
			return err
		}
	}
	if !r.create {
		return nil
	}
	sa, err := r.cachedAccount(namespace, name)
	if apierrors.IsNotFound(err) || err == nil && sa.DeletionTimestamp != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading service account: %w", err)
	}
	if has, err := r.listsToken(ctx, sa); has || err != nil {
		return err
	}
	s, err := r.unlisted(ctx, sa)
	switch {
	case err != nil:
		return err
	case s == nil:
		return r.give(ctx, sa)
	}
	if err := r.list(ctx, sa, s); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("listing secret: %w", err)
	}
	return nil
}

// unlisted returns a Secret that was made for an account and is not listed by it any
// more, as after a replacement of the account by a manifest without the list.
func (r reconciler) unlisted(ctx context.Context, sa *corev1.ServiceAccount) (*corev1.Secret, error) {
	all, err := r.secretsIn(ctx, sa.Namespace)
	if err != nil {
		return nil, fmt.Errorf("listing secrets: %w", err)
	}
	for i := range all {
		if s := &all[i]; s.Annotations[api.GeneratedToken] == "true" && s.DeletionTimestamp == nil && s.Labels[invalidSinceLabel] == "" && sameAccount(s, sa) {
			return s, nil
		}
	}
	return nil, nil
}

// list adds a Secret to the list of its account.
func (r reconciler) list(ctx context.Context, sa *corev1.ServiceAccount, s *corev1.Secret) error {
	listing := sa.DeepCopy()
	listing.Secrets = append(listing.Secrets, corev1.ObjectReference{Name: s.Name})
	_, err := r.updateAccount(ctx, sa, listing)
	return err
}

// listsToken tells whether an account lists a Secret with a token of its own. One that
// is not in the cache may have been made a moment ago.
func (r reconciler) listsToken(ctx context.Context, sa *corev1.ServiceAccount) (bool, error) {
	for _, ref := range sa.Secrets {
		s, err := r.cachedSecret(sa.Namespace, ref.Name)
		if apierrors.IsNotFound(err) {
			s, err = r.liveSecret(ctx, sa.Namespace, ref.Name)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("reading secret: %w", err)
		}
		if err == nil && s.Type == corev1.SecretTypeServiceAccountToken && sameAccount(s, sa) {
			return true, nil
		}
	}
	return false, nil
}

// give makes a Secret for an account and lists it there. When that fails the Secret is
// removed: an unlisted one would be taken for one that a person made.
func (r reconciler) give(ctx context.Context, sa *corev1.ServiceAccount) error {
	s, err := r.filled(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: sa.Namespace, Name: secretName(sa.Name), Annotations: map[string]string{api.GeneratedToken: "true"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}, sa)
	if err != nil {
		return err
	}
	made, err := r.createSecret(ctx, s)
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating secret: %w", err)
	}
	if err := r.list(ctx, sa, made); err != nil {
		if again := r.deleteSecret(context.WithoutCancel(ctx), made); again != nil && !apierrors.IsNotFound(again) {
			r.log.Warn("a secret that no service account lists could not be removed", "namespace", made.Namespace, "secret", made.Name, "error", again)
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("listing secret: %w", err)
	}
	return nil
}

// secretName returns a new name, as long as upstream's generated ones at most.
func secretName(account string) string {
	const longest, random = 63, 5
	base := account + "-token-"
	return base[:min(len(base), longest-random)] + rand.String(random)
}

// reference takes a Secret that is gone off the list of its account.
func (r reconciler) reference(ctx context.Context, namespace, account, secret string) error {
	sa, err := r.liveAccount(ctx, namespace, account)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading service account: %w", err)
	}
	listed := func(ref corev1.ObjectReference) bool { return ref.Name == secret }
	if !slices.ContainsFunc(sa.Secrets, listed) {
		return nil
	}
	if _, err := r.liveSecret(ctx, namespace, secret); !apierrors.IsNotFound(err) {
		return err // nil: there is one of this name again
	}
	without := sa.DeepCopy()
	without.Secrets = slices.DeleteFunc(without.Secrets, listed)
	if _, err := r.updateAccount(ctx, sa, without); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taking secret off the list: %w", err)
	}
	return nil
}
