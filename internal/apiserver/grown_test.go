package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/registry/bounds"
)

// TestPatchesDoNotAddUpToMoreThanARequestMayBring holds for each way in which a patch can
// add to a list.
func TestPatchesDoNotAddUpToMoreThanARequestMayBring(t *testing.T) {
	s := boot(t, t.TempDir())
	client := s.privileged()
	const maps = "/api/v1/namespaces/default/configmaps"
	finalizers := make([]string, bounds.MaxMembers)
	for i := range finalizers {
		finalizers[i] = fmt.Sprintf("e.x/%05d", i)
	}
	list, err := json.Marshal(finalizers)
	must(t, err)
	send := func(method, path, mediaType, body string, want int) []byte {
		t.Helper()
		code, raw := s.fetch(client, method, path, strings.NewReader(body), "Content-Type", mediaType)
		if code != want {
			t.Errorf("%s %s: %d %.300s", method, mediaType, code, raw)
		}
		return raw
	}
	send("POST", maps, "application/json", `{"metadata":{"name":"c","finalizers":`+string(list)+`}}`, http.StatusCreated)
	for mediaType, patch := range map[string]string{
		"application/json-patch+json":            `[{"op":"add","path":"/metadata/finalizers/-","value":"e.x/more"}]`,
		"application/strategic-merge-patch+json": `{"metadata":{"finalizers":["e.x/more"]}}`,
		"application/apply-patch+yaml":           `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","finalizers":["e.x/more"]}}`,
	} {
		raw := send("PATCH", maps+"/c?fieldManager=m", mediaType, patch, http.StatusUnprocessableEntity)
		if !strings.Contains(string(raw), "metadata.finalizers: Too many: 10001: must have at most 10000 items") {
			t.Errorf("%s: %.300s", mediaType, raw)
		}
	}
	send("PATCH", maps+"/c", "application/merge-patch+json", `{"metadata":{"finalizers":null}}`, http.StatusOK)
}
