package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// hint says what to do about webhooks that could not be called: nobody can write until they
// answer, or their configuration is gone.
type hint struct {
	kind, plural string
	// configuration returns the name of the configuration that has a webhook, "" where
	// there is none, or more than one.
	configuration func(webhook string) string
}

// failed begins the messages of webhooks that could not be called and must not be passed
// over.
const failed = "Internal error occurred: failed calling webhook "

// to adds the hint to an error of the library, where it is about a failed call.
func (h hint) to(err error) error {
	var status *apierrors.StatusError
	if err == nil || !errors.As(err, &status) {
		return err
	}
	about, isCall := strings.CutPrefix(status.ErrStatus.Message, failed)
	quoted, syntax := strconv.QuotedPrefix(about)
	if !isCall || syntax != nil {
		return err
	}
	webhook, syntax := strconv.Unquote(quoted)
	if syntax != nil {
		return err
	}
	name := h.configuration(webhook)
	if name == "" {
		return err
	}
	told := *status
	told.ErrStatus.Message += fmt.Sprintf(" (%s %q has this webhook with failurePolicy Fail; if it cannot be brought back: kubectl delete %s %s)", h.kind, name, h.plural, name)
	return &told
}

// mutatingOf and validatingOf return the one configuration that has a webhook of a name.
func mutatingOf(all []*admissionregistrationv1.MutatingWebhookConfiguration, err error, webhook string) string {
	var found []string
	for _, c := range all {
		if slices.ContainsFunc(c.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool { return w.Name == webhook }) {
			found = append(found, c.Name)
		}
	}
	return only(found, err)
}

func validatingOf(all []*admissionregistrationv1.ValidatingWebhookConfiguration, err error, webhook string) string {
	var found []string
	for _, c := range all {
		if slices.ContainsFunc(c.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == webhook }) {
			found = append(found, c.Name)
		}
	}
	return only(found, err)
}

func only(found []string, err error) string {
	if err != nil || len(found) != 1 {
		return ""
	}
	return found[0]
}
