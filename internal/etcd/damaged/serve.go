package damaged

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"k8s.io/client-go/rest"
)

// Path answers GET with the objects that are set aside. By default cluster-admin alone
// may ask.
const Path = "/store/v1/damaged"

// ServeHTTP implements http.Handler: it serves Path.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
		return
	}
	objects := s.Objects()
	if objects == nil {
		objects = []Object{}
	}
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone is not told anything.
	_ = json.NewEncoder(w).Encode(objects)
}

// Ask returns the objects that a server has set aside, ordered by key.
func Ask(ctx context.Context, server rest.Interface) ([]Object, error) {
	raw, err := server.Get().AbsPath(Path).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for damaged objects: %w", err)
	}
	var objects []Object
	if err := json.Unmarshal(raw, &objects); err != nil {
		return nil, fmt.Errorf("reading the list of damaged objects: %w", err)
	}
	return objects, nil
}
