package apiserver

import (
	"net/http"
	"strconv"
)

// definitionsPath is where CustomResourceDefinitions would be listed. kubectl reads
// the list, without discovery, before it creates an object of a kind that cannot be
// patched (TokenReview, SubjectAccessReview, Binding): it gives up when the list
// does not exist, and goes on when it is empty.
const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

const noDefinitions = `{"kind":"CustomResourceDefinitionList","apiVersion":"apiextensions.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}` + "\n"

// definitions answers that there are no CustomResourceDefinitions. The group is in
// no discovery document: nothing can be created or watched.
func definitions(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Query().Has("watch") {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(noDefinitions)))
	w.Write([]byte(noDefinitions))
}
