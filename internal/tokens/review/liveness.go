package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/boundtoken"
)

// errInvalidated is the answer when an object that a token is bound to is gone.
var errInvalidated = errors.New("service account token has been invalidated")

// link is one object that a token lives with.
type link struct {
	key   ObjectKey
	ref   boundtoken.Ref
	claim string // what the claim is called in messages
}

// links returns what must exist for claims to be good, the service account
// first. The node of a pod-bound token only informs, as upstream.
func links(c *boundtoken.Claims) []link {
	k := &c.Kubernetes
	out := make([]link, 1, 3)
	out[0] = link{key: ObjectKey{KindServiceAccount, k.Namespace, k.ServiceAccount.Name}, ref: k.ServiceAccount}
	if k.Secret != nil {
		out = append(out, link{ObjectKey{KindSecret, k.Namespace, k.Secret.Name}, *k.Secret, "secret"})
	}
	if k.Pod != nil {
		out = append(out, link{ObjectKey{KindPod, k.Namespace, k.Pod.Name}, *k.Pod, "pod"})
	} else if k.Node != nil {
		out = append(out, link{ObjectKey{KindNode, "", k.Node.Name}, *k.Node, "node"})
	}
	return out
}

// checkLiveness tells whether everything that claims depend on exists. Objects
// count as deleted once their deletion timestamp, which includes the grace
// period, is more than the leeway before now.
func checkLiveness(ctx context.Context, objects Objects, c *boundtoken.Claims, now time.Time) error {
	needs := links(c)
	keys := make([]ObjectKey, len(needs))
	for i, l := range needs {
		keys[i] = l.key
	}
	found, err := objects.Get(ctx, keys...)
	if err != nil {
		return fmt.Errorf("service account token cannot be checked: %w", err)
	}
	limit := now.Add(-boundtoken.Leeway)
	for i, l := range needs {
		if err := l.check(found[i], limit); err != nil {
			return err
		}
	}
	return nil
}

// check compares a link with the object found, nil for none.
func (l link) check(o *Object, deletedBefore time.Time) error {
	account := l.key.Kind == KindServiceAccount
	gone := o != nil && !o.Deleted.IsZero() && o.Deleted.Before(deletedBefore)
	switch {
	case o == nil && account:
		return apierrors.NewNotFound(l.key.Kind.Resource(), l.key.Name)
	case gone && account:
		return fmt.Errorf("service account %s/%s has been deleted", l.key.Namespace, l.key.Name)
	case o == nil, gone:
		return errInvalidated
	case o.UID == l.ref.UID:
		return nil
	case account:
		return fmt.Errorf("service account UID (%s) does not match claim (%s)", o.UID, l.ref.UID)
	}
	return fmt.Errorf("%s UID (%s) does not match service account %s ref claim (%s)", l.claim, o.UID, l.claim, l.ref.UID)
}
