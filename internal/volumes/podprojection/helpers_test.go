package podprojection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
	"laterna.dev/laterna/internal/volumes/publish"
)

// server is an API server without a network, so that tests can run in a bubble of
// time. It serves the kind with optimistic concurrency.
type server struct {
	latency time.Duration

	mu       sync.Mutex
	refusal  error // answers all requests, unless nil
	version  int
	objects  map[string]*v1alpha1.PodProjection
	requests []request
}

type request struct {
	verb, name string
	at         time.Time
}

func newServer() *server { return &server{objects: map[string]*v1alpha1.PodProjection{}} }

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.latency > 0 {
		time.Sleep(s.latency)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	verb, name := r.Method, ""
	if parts := strings.Split(r.URL.Path, "/"); len(parts) == 4 {
		verb = "discover"
	} else if len(parts) == 8 {
		name = parts[7]
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	s.requests = append(s.requests, request{verb, name, time.Now()})
	var answer any
	err := s.refusal
	if err == nil {
		answer, err = s.serve(verb, name, body)
	}
	code := http.StatusOK
	if err != nil {
		status := err.(apierrors.APIStatus).Status()
		status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		answer, code = status, int(status.Code)
	}
	raw, err := json.Marshal(answer)
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(raw)),
	}, err
}

// serve is called with mu held.
func (s *server) serve(verb, name string, body []byte) (any, error) {
	resource := v1alpha1.Resource(v1alpha1.Plural)
	in := &v1alpha1.PodProjection{}
	if verb == "POST" || verb == "PUT" {
		if err := json.Unmarshal(body, in); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		name = in.Name
	}
	have := s.objects[name]
	switch {
	case verb == "discover":
		return metav1.APIResourceList{}, nil
	case verb == "POST" && have != nil:
		return nil, apierrors.NewAlreadyExists(resource, name)
	case verb != "POST" && have == nil:
		return nil, apierrors.NewNotFound(resource, name)
	case verb == "PUT" && in.ResourceVersion != have.ResourceVersion:
		return nil, apierrors.NewConflict(resource, name, fmt.Errorf("it is at %s", have.ResourceVersion))
	case verb == "GET":
		return have, nil
	case verb == "DELETE":
		options := metav1.DeleteOptions{}
		if err := json.Unmarshal(body, &options); err != nil || options.Preconditions == nil || *options.Preconditions.UID != have.UID {
			return nil, apierrors.NewConflict(resource, name, fmt.Errorf("precondition %+v", options.Preconditions))
		}
		delete(s.objects, name)
		return metav1.Status{Status: metav1.StatusSuccess}, nil
	}
	s.store(in)
	return s.objects[name], nil
}

// store is called with mu held.
func (s *server) store(p *v1alpha1.PodProjection) {
	s.version++
	p.ResourceVersion = strconv.Itoa(s.version)
	if p.UID == "" {
		p.UID = types.UID("object-" + p.ResourceVersion)
	}
	p.APIVersion, p.Kind = v1alpha1.SchemeGroupVersion.String(), v1alpha1.Kind
	s.objects[p.Name] = p
}

// refuse answers all requests with err from now on, or none if that is nil.
func (s *server) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

// put stores what somebody else writes.
func (s *server) put(p *v1alpha1.PodProjection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(p.DeepCopy())
}

func (s *server) object(name string) *v1alpha1.PodProjection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[name].DeepCopy()
}

// count returns how many requests of these verbs came, or of all.
func (s *server) count(verbs ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if len(verbs) == 0 || strings.Contains(strings.Join(verbs, " "), r.verb) {
			n++
		}
	}
	return n
}

func (s *server) client(t testing.TB) rest.Interface {
	t.Helper()
	kinds := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	c, err := rest.RESTClientFor(&rest.Config{Host: "http://api", Transport: s, QPS: -1, APIPath: "/apis", ContentConfig: rest.ContentConfig{
		GroupVersion: &v1alpha1.SchemeGroupVersion, NegotiatedSerializer: serializer.NewCodecFactory(kinds).WithoutConversion(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shown is what the volumes of pods show.
type shown struct {
	mu   sync.Mutex
	pods map[types.UID][]publish.Status
}

func (s *shown) set(uid types.UID, all ...publish.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods[uid] = all
}

func (s *shown) snapshot(uid types.UID) []publish.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pods[uid]
}

// fixture is a writer on a server.
type fixture struct {
	*Writer
	*shown
	server *server
	lines  *lines
}

// lines are those of a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newFixture(t *testing.T, s *server, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{shown: &shown{pods: map[types.UID][]publish.Status{}}, server: s, lines: &lines{}}
	cfg := Config{
		Client: s.client(t), NodeName: "n", Key: Key{redacted.New("key")}, Snapshot: f.snapshot, Wall: clock.Real(),
		Log: slog.New(slog.NewTextHandler(f.lines, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	f.Writer = New(t.Context(), cfg)
	return f
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
}

// at is a volume whose ConfigMap is published in a version, and known in another.
func at(published, observed string) publish.Status {
	return publish.Status{
		Name: "v", Generation: ".." + published, Digest: []byte(published), Published: time.Unix(1, 0),
		Sources: []publish.SourceStatus{{Kind: "ConfigMap", Name: "c", Observed: observed, Published: published}},
	}
}

// version is what the API says of the first source of the first volume.
func version(p *v1alpha1.PodProjection) string {
	if p == nil || len(p.Status.Volumes) == 0 || len(p.Status.Volumes[0].Sources) == 0 {
		return "none"
	}
	return p.Status.Volumes[0].Sources[0].PublishedVersion
}
