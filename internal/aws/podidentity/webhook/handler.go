package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/identityfile"
	"laterna.dev/laterna/internal/aws/podidentity/review"
	"laterna.dev/laterna/internal/bounded"
)

// mostReview bounds a review, in bytes: an API server takes objects of 3 MiB, and a review
// has up to two.
const mostReview = 8 << 20

// handler answers reviews.
type handler struct {
	settings *podidentity.Settings
	accounts *accounts
	// identities may be nil.
	identities *identityfile.File
	counts     *counts
	log        *slog.Logger
	// random returns a number from 0 up to n, without n.
	random func(n int64) int64
}

// mutate answers a review of a pod.
func (h *handler) mutate(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "Invalid Content-Type, expected `application/json`", http.StatusUnsupportedMediaType)
		return
	}
	body, err := bounded.All(req.Body, mostReview)
	if errors.Is(err, bounded.ErrTooLarge) {
		http.Error(w, "the review is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		return // the client has gone
	}
	r, refusal := review.Read(body)
	if refusal != nil {
		h.write(w, refusal)
		return
	}
	injection, err := h.decide(req.Context(), &r)
	if err != nil {
		// Neither yes nor no: what becomes of the pod is the failure policy's.
		h.log.Warn("pod is not decided on", "namespace", r.Pod.Namespace, "serviceAccount", r.Pod.Spec.ServiceAccountName, "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h.told(req.Context(), &r, injection)
	h.write(w, r.Allowed(injection))
}

func (h *handler) write(w http.ResponseWriter, answer *admissionv1.AdmissionReview) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client may have gone
}

// decide returns what a pod is to be given.
func (h *handler) decide(ctx context.Context, r *review.Review) (*podidentity.Injection, error) {
	namespace, name := r.Pod.Namespace, r.Pod.Spec.ServiceAccountName
	entry, err := h.accounts.entry(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	from := podidentity.Sources{Account: entry, Random: h.random}
	if h.identities != nil {
		if from.Identities, err = h.identities.Identities(); err != nil {
			h.log.Warn("file of container credentials is passed over, the last good one counts", "err", err)
		}
	}
	if entry == nil || entry.RoleARN == "" {
		if from.Entries, err = h.accounts.fromConfigMap(ctx); err != nil {
			return nil, err
		}
	}
	injection := h.settings.Decide(r.Pod, namespace, from)
	if injection != nil {
		h.counts.pods.WithLabelValues(string(injection.Method)).Inc()
	}
	return injection, nil
}

// told logs what a pod was given.
func (h *handler) told(ctx context.Context, r *review.Review, injection *podidentity.Injection) {
	if !h.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	name := r.Pod.Name
	if name == "" {
		name = r.Pod.GenerateName
	}
	h.log.Debug("pod was reviewed", "namespace", r.Pod.Namespace, "pod", name, "serviceAccount", r.Pod.Spec.ServiceAccountName, "injected", injection != nil)
}

// deny refuses whatever it is asked, for those who try how the cluster takes that.
func (h *handler) deny(w http.ResponseWriter, req *http.Request) {
	body, err := bounded.All(req.Body, mostReview)
	if err != nil {
		return
	}
	r, refusal := review.Read(body)
	if refusal == nil {
		refusal = r.Refused("denied by the debug handler")
	}
	h.write(w, refusal)
}

// dump shows what was seen of service accounts.
func (h *handler) dump(w http.ResponseWriter, _ *http.Request) {
	raw, err := h.accounts.dump()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(raw)
}

func (h *handler) clear(w http.ResponseWriter, _ *http.Request) {
	h.accounts.clear()
	_, _ = w.Write([]byte("cache cleared\n"))
}
