package publish

import (
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// accountAgain is how soon tokens are looked at again that are being replaced because
// their service account is another one now.
const accountAgain = time.Second

// checkAccount has the tokens of v replaced that the API refuses because their service
// account was deleted and made anew, and says so while v shows such tokens. Where the
// account cannot be followed nothing is said.
func (pub *Publisher) checkAccount(v *volume, out *outcome) {
	if v.account == nil {
		return
	}
	object, err, known := v.account.Peek()
	switch {
	case !known || err != nil && !apierrors.IsNotFound(err):
		return
	case err != nil:
		if v.shown.generation != "" { // else the token's own error says it
			out.failed(fmt.Errorf("the API refuses the tokens of this volume: service account %q is gone", out.spec.Spec.ServiceAccountName))
		}
		return
	}
	uid := object.GetUID()
	outdated := func(r tokencache.Request, t tokencache.Token) bool {
		_, mine := v.tokens[r]
		return mine && ofAnother(t, uid)
	}
	for request := range v.tokens {
		if token, err, known := pub.cfg.Tokens.Peek(request); known && err == nil && outdated(request, token) {
			pub.cfg.Tokens.Renew(outdated)
			out.waits("the API refuses the token: its service account was made anew, waiting for a new token")
			out.later(accountAgain)
			return
		}
	}
}

// ofAnother tells whether a token names a service account with another UID.
func ofAnother(t tokencache.Token, uid types.UID) bool {
	parsed, err := boundtoken.Parse(string(t.Bytes()))
	if err != nil {
		return false // of a server that makes other tokens: nothing to compare
	}
	had := parsed.UnverifiedClaims().Kubernetes.ServiceAccount.UID
	return had != "" && had != string(uid)
}
