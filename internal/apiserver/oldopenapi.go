package apiserver

import (
	"net/http"
	"net/url"
	"strconv"
)

// Where guides of old look for the API's description; see package documents for where it is.

const whereDocumentsAre = `{"message":"Swagger 1.2 is not served: the API is described by OpenAPI documents","openapi":{"v3":"/openapi/v3","v2":"/openapi/v2"}}` + "\n"

// swaggerAPI answers where the documents are.
func swaggerAPI(w http.ResponseWriter, r *http.Request) {
	if !reads(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(whereDocumentsAre)))
	w.Write([]byte(whereDocumentsAre))
}

// swaggerJSON answers with the document of /openapi/v2 as JSON, whatever else the client
// would take, as servers did before there was /openapi/v2.
func swaggerJSON(documents http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !reads(w, r) {
			return
		}
		v2 := r.Clone(r.Context())
		v2.URL = &url.URL{Path: "/openapi/v2"}
		v2.Header.Set("Accept", "application/json")
		documents.ServeHTTP(w, v2)
	})
}

// reads tells whether a request is for reading, and answers one that is not.
func reads(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}
