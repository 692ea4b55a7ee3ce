// Package fakeapi is a small API server for the tests of the agent's packages: it
// serves Secrets, ConfigMaps and ServiceAccounts (get, list, watch from a version) and TokenRequest
// over HTTP, and can be taken down and brought up again at the same address.
//
// It owns nothing that the program runs; tests of the whole use the real server.
package fakeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Server is the API. Its fields may be set before the first request.
type Server struct {
	// Token answers TokenRequests; nil gives tokens named token-1, token-2 … that
	// begin now and live as long as asked for.
	Token func(namespace, serviceAccount string, r *authenticationv1.TokenRequest) error
	// Refuse, unless nil, may answer any request with an error.
	Refuse func(r *http.Request) error

	t       testing.TB
	addr    string
	mu      sync.Mutex
	changed *sync.Cond
	version int
	objects map[string]metav1.Object // by resource/namespace/name
	events  []event
	http    *http.Server
	counts  map[string]int
	tokens  int
}

type event struct {
	version int
	kind    string
	key     string
	object  metav1.Object
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, objects: map[string]metav1.Object{}, counts: map[string]int{}}
	s.changed = sync.NewCond(&s.mu)
	s.addr = "127.0.0.1:0"
	s.Up()
	t.Cleanup(s.Down)
	return s
}

// Client returns a client without a rate limit.
func (s *Server) Client() kubernetes.Interface {
	c, err := kubernetes.NewForConfig(&rest.Config{Host: "http://" + s.addr, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Up makes the server reachable.
func (s *Server) Up() {
	var l net.Listener
	var err error
	for range 50 { // the address may linger for a moment
		if l, err = net.Listen("tcp", s.addr); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	server := &http.Server{Handler: s}
	s.mu.Lock()
	s.http = server
	s.mu.Unlock()
	go server.Serve(l)
}

// Down ends all connections and refuses new ones.
func (s *Server) Down() {
	s.mu.Lock()
	server := s.http
	s.http = nil
	s.changed.Broadcast()
	s.mu.Unlock()
	if server != nil {
		server.Close()
	}
}

// Forget drops the history, so that a watch from an old version is refused as
// expired.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
	s.version += 1000
}

// Count returns how many requests of a verb ("list", "watch", "get", "token") came.
func (s *Server) Count(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[verb]
}

// Put creates or replaces a Secret, ConfigMap or ServiceAccount.
func (s *Server) Put(object metav1.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object = copyOf(object)
	key := keyOf(object)
	s.version++
	object.SetResourceVersion(strconv.Itoa(s.version))
	kind := "ADDED"
	if old, ok := s.objects[key]; ok {
		kind = "MODIFIED"
		object.SetUID(old.GetUID())
	} else if object.GetUID() == "" {
		object.SetUID(types.UID("uid-" + strconv.Itoa(s.version)))
	}
	s.objects[key] = object
	s.record(kind, key, object)
}

// Delete removes an object; resource is "secrets", "configmaps" or
// "serviceaccounts".
func (s *Server) Delete(resource, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := resource + "/" + namespace + "/" + name
	object := s.objects[key]
	if object == nil {
		s.t.Errorf("no %s to delete", key)
		return
	}
	delete(s.objects, key)
	s.version++
	object = copyOf(object)
	object.SetResourceVersion(strconv.Itoa(s.version))
	s.record("DELETED", key, object)
}

// Secret returns a Secret to Put; pairs are keys and values.
func Secret(namespace, name string, pairs ...string) *corev1.Secret {
	o := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Data[pairs[i]] = []byte(pairs[i+1])
	}
	return o
}

// ConfigMap returns a ConfigMap to Put; pairs are keys and values.
func ConfigMap(namespace, name string, pairs ...string) *corev1.ConfigMap {
	o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Data[pairs[i]] = pairs[i+1]
	}
	return o
}

func (s *Server) record(kind, key string, object metav1.Object) {
	s.events = append(s.events, event{s.version, kind, key, object})
	s.changed.Broadcast()
}

// followed tells whether a service account was ever put into a namespace: until then
// they cannot be read, as on a stock server.
func (s *Server) followed(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.events, func(e event) bool { return strings.HasPrefix(e.key, "serviceaccounts/"+namespace+"/") })
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	verb := verbOf(r, parts)
	if verb != "token" && len(parts) > 1 && parts[1] == "serviceaccounts" {
		if !s.followed(parts[0]) {
			answer(w, apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "", errors.New("can only create tokens")))
			return
		}
		verb += " serviceaccount"
	}
	s.mu.Lock()
	s.counts[verb]++
	s.mu.Unlock()
	verb, _, _ = strings.Cut(verb, " ")
	if s.Refuse != nil {
		if err := s.Refuse(r); err != nil {
			answer(w, err)
			return
		}
	}
	name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	switch verb {
	case "get":
		s.get(w, parts[1], parts[0], parts[2])
	case "list":
		s.list(w, parts[1], parts[0], name)
	case "watch":
		from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
		s.watch(w, r, parts[1]+"/"+parts[0]+"/"+name, from)
	case "token":
		s.token(w, r, parts[0], parts[2])
	}
}

func verbOf(r *http.Request, parts []string) string {
	switch {
	case r.Method == http.MethodPost && len(parts) == 4 && parts[3] == "token":
		return "token"
	case r.URL.Query().Get("watch") != "":
		return "watch"
	case len(parts) == 3:
		return "get"
	}
	return "list"
}

func (s *Server) get(w http.ResponseWriter, resource, namespace, name string) {
	s.mu.Lock()
	object := s.objects[resource+"/"+namespace+"/"+name]
	s.mu.Unlock()
	if object == nil {
		answer(w, apierrors.NewNotFound(corev1.Resource(resource), name))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(typed(object))
}

func (s *Server) list(w http.ResponseWriter, resource, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := map[string]string{"secrets": "SecretList", "configmaps": "ConfigMapList", "serviceaccounts": "ServiceAccountList"}[resource]
	out := map[string]any{"kind": kind, "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}}
	items := []any{}
	if object := s.objects[resource+"/"+namespace+"/"+name]; object != nil {
		items = append(items, object)
	}
	out["items"] = items
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, key string, from int) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	go func() { // a watcher that goes must not wait for an event
		<-r.Context().Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	server := s.http
	if len(s.events) == 0 && from < s.version || len(s.events) > 0 && from < s.events[0].version-1 {
		expired := apierrors.NewResourceExpired("too old resource version").Status()
		json.NewEncoder(w).Encode(map[string]any{"type": "ERROR", "object": &expired})
		return
	}
	for r.Context().Err() == nil && s.http == server {
		i := slices.IndexFunc(s.events, func(e event) bool { return e.version > from && e.key == key })
		if i < 0 {
			s.changed.Wait()
			continue
		}
		from = s.events[i].version
		json.NewEncoder(w).Encode(map[string]any{"type": s.events[i].kind, "object": typed(s.events[i].object)})
		w.(http.Flusher).Flush()
	}
}

func (s *Server) token(w http.ResponseWriter, r *http.Request, namespace, account string) {
	request := &authenticationv1.TokenRequest{}
	if err := json.NewDecoder(r.Body).Decode(request); err != nil {
		answer(w, err)
		return
	}
	if s.Token != nil {
		if err := s.Token(namespace, account, request); err != nil {
			answer(w, err)
			return
		}
	} else {
		s.mu.Lock()
		s.tokens++
		request.Status.Token = fmt.Sprintf("token-%d", s.tokens)
		s.mu.Unlock()
		request.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(*request.Spec.ExpirationSeconds) * time.Second))
	}
	request.TypeMeta = metav1.TypeMeta{Kind: "TokenRequest", APIVersion: "authentication.k8s.io/v1"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(request)
}

func answer(w http.ResponseWriter, err error) {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		status = apierrors.NewInternalError(err)
	}
	body := status.Status()
	body.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(body.Code))
	json.NewEncoder(w).Encode(body)
}

func copyOf(object metav1.Object) metav1.Object {
	return object.(runtime.Object).DeepCopyObject().(metav1.Object)
}

// typed returns a copy that says what it is.
func typed(object metav1.Object) metav1.Object {
	switch o := copyOf(object).(type) {
	case *corev1.Secret:
		o.TypeMeta = metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}
		return o
	case *corev1.ConfigMap:
		o.TypeMeta = metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}
		return o
	case *corev1.ServiceAccount:
		o.TypeMeta = metav1.TypeMeta{Kind: "ServiceAccount", APIVersion: "v1"}
		return o
	}
	return object
}

func keyOf(object metav1.Object) string {
	resource := "configmaps"
	switch object.(type) {
	case *corev1.ServiceAccount:
		resource = "serviceaccounts"
	case *corev1.Secret:
		resource = "secrets"
	}
	return resource + "/" + object.GetNamespace() + "/" + object.GetName()
}
