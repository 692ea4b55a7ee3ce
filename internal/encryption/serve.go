package encryption

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/encryption/atrest"
)

// The paths under which the server tells of and changes the encryption of the store.
// By default cluster-admin alone may use them.
const (
	// Path answers GET with a Status.
	Path = "/encryption/v1"
	// RotatePath begins a rotation with POST.
	RotatePath = Path + "/rotate"
	// RewritePath begins to write values again with POST.
	RewritePath = Path + "/rewrite"
)

// Status is what there is to know of the encryption of the store. It holds no secret.
type Status struct {
	// KeyFile is where the server that answers has its keys.
	KeyFile string `json:"keyFile"`
	// ProviderConfig is the encryption provider configuration in use, or "".
	ProviderConfig string `json:"providerConfig,omitempty"`
	// Keys are those of the server that answers; the first one encrypts.
	Keys []atrest.Key `json:"keys"`
	// Servers are all that use the store.
	Servers []Server `json:"servers"`
	Survey
	// Rotation is the last one, nil if there was none.
	Rotation *Rotation `json:"rotation,omitempty"`
}

// Status looks at the store and tells what there is to know. What it tells of the
// rotation is not newer than the rest.
func (k *Keeper) Status(ctx context.Context) (*Status, error) {
	s := &Status{KeyFile: k.config.Box.File(), ProviderConfig: k.config.ProviderConfig}
	var err error
	if s.Rotation, _, err = k.load(ctx); err != nil {
		return nil, err
	}
	s.Keys = k.config.Box.Keys()
	if s.Servers, err = k.servers(ctx); err != nil {
		return nil, err
	}
	found, err := k.survey(ctx)
	if err != nil {
		return nil, err
	}
	s.Survey = *found
	return s, nil
}

// Handler serves Path and what is below it.
func (k *Keeper) Handler() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, r *http.Request, err error) {
		var s *Status
		if err == nil {
			s, err = k.Status(r.Context())
		}
		if err != nil {
			refuse(w, err)
			return
		}
		write(w, http.StatusOK, s)
	}
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) { answer(w, r, nil) })
	mux.HandleFunc("POST "+RotatePath, func(w http.ResponseWriter, r *http.Request) { answer(w, r, k.Rotate(r.Context())) })
	mux.HandleFunc("POST "+RewritePath, func(w http.ResponseWriter, r *http.Request) { answer(w, r, k.Rewrite(r.Context())) })
	return mux
}

// refuse says why not, as the API does.
func refuse(w http.ResponseWriter, err error) {
	var busy *UnderWayError
	status := apierrors.NewInternalError(err).ErrStatus
	if errors.As(err, &busy) || errors.Is(err, errConflict) {
		status = apierrors.NewConflict(schema.GroupResource{Resource: "encryption"}, "rotation", err).ErrStatus
	}
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	write(w, int(status.Code), status)
}

func write(w http.ResponseWriter, code int, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(data, '\n'))
}
