package watched

import (
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/plain"
)

// Troubles say what cannot be shown, and why. They are fit for terminals.
func (w *Watched) Troubles() []string {
	var all []string
	lost := ""
	for _, k := range w.kinds {
		err := k.failed()
		var answer apierrors.APIStatus
		switch {
		case err == nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
		case apierrors.IsForbidden(err):
			all = append(all, fmt.Sprintf("you may not list %s %s", k.name, w.where()))
		case apierrors.IsNotFound(err):
			all = append(all, "the server does not know "+k.name)
		case errors.As(err, &answer):
			all = append(all, fmt.Sprintf("reading %s: %s", k.name, plain.Text(err.Error())))
		default:
			lost = "the server does not answer, trying again: " + plain.Text(cause(err).Error())
		}
	}
	if lost != "" { // the same for all of them
		all = append(all, lost)
	}
	return all
}

// cause is why a request failed, without its address.
func cause(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func (w *Watched) where() string {
	if w.cfg.Namespace == "" {
		return "in all namespaces; name one with --namespace"
	}
	return "in namespace " + plain.Text(w.cfg.Namespace)
}

// Failed returns why pods are not known, or nil.
func (w *Watched) Failed() error {
	if k := w.kinds[pods]; !k.informer.HasSynced() {
		return cause(k.failed())
	}
	return nil
}
