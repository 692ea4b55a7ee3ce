package watched

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/webui/projections"
)

func newWatched(t *testing.T, host, namespace string) *Watched {
	t.Helper()
	w, err := New(Config{API: &rest.Config{Host: host}, Namespace: namespace, Clock: clock.Real()})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTroublesSayWhatIsNotShown(t *testing.T) {
	w := newWatched(t, "http://127.0.0.1:1", "team")
	down := &url.Error{Op: "Get", URL: "https://127.0.0.1:1/api", Err: errors.New("connection refused")}
	for _, c := range []struct {
		pods, reports, configMaps error
		want                      []string
	}{
		{nil, nil, nil, nil},
		{apierrors.NewForbidden(corev1.Resource("pods"), "", nil), nil, nil, []string{"you may not list pods in namespace team"}},
		{nil, apierrors.NewNotFound(v1alpha1.Resource(v1alpha1.Plural), ""), nil, []string{"the server does not know podprojections"}},
		{nil, nil, apierrors.NewResourceExpired("too old"), nil},
		{down, down, down, []string{"the server does not answer, trying again: connection refused"}},
		{apierrors.NewInternalError(errors.New("\x1b[2J")), nil, nil, []string{`reading pods: "Internal error occurred: \x1b[2J"`}},
	} {
		w.kinds[pods].trouble, w.kinds[reports].trouble, w.kinds[configMaps].trouble = c.pods, c.reports, c.configMaps
		if got := w.Troubles(); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// api answers lists with one object each, and watches with nothing.
type api struct {
	mu       sync.Mutex
	requests []string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, r.URL.Path+" "+r.Header.Get("Accept"))
	a.mu.Unlock()
	list := metav1.ListMeta{ResourceVersion: "7"}
	named := metav1.ObjectMeta{Namespace: "team", Name: "web", ResourceVersion: "6", UID: "u", Annotations: map[string]string{"a": "b"}}
	var answer any
	switch _, last, _ := strings.Cut(r.URL.Path, "/namespaces/team/"); {
	case r.URL.Path == projections.ClockPath:
		answer = projections.Time{System: time.Now().Add(time.Hour), Wall: time.Now()}
	case r.URL.Query().Has("watch"):
		if r.URL.Query().Has("sendInitialEvents") { // a server that knows no such lists
			w.WriteHeader(http.StatusUnprocessableEntity)
			answer = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: 422}
			break
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	case last == "pods":
		pod := corev1.Pod{ObjectMeta: named, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Env: []corev1.EnvVar{{Name: "a", Value: "b"}}}}}}
		answer = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: list, Items: []corev1.Pod{pod}}
	case last == "podprojections":
		answer = v1alpha1.PodProjectionList{TypeMeta: metav1.TypeMeta{Kind: "PodProjectionList", APIVersion: v1alpha1.SchemeGroupVersion.String()}, ListMeta: list, Items: []v1alpha1.PodProjection{{ObjectMeta: named}}}
	case last == "configmaps":
		answer = metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"}, ListMeta: list, Items: []metav1.PartialObjectMetadata{{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}, ObjectMeta: named}}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func TestKnowsWhatIsShownAndNoMore(t *testing.T) {
	a := &api{}
	server := httptest.NewServer(a)
	defer server.Close()
	w := newWatched(t, server.URL, "team")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	for (!w.Ready() || w.Time().System < 59*time.Minute) && ctx.Err() == nil {
		select {
		case <-w.Changed():
		case <-ctx.Done():
		}
	}
	s := w.Snapshot()
	cancel()
	<-ended
	if len(s.Pods) != 1 || len(s.Projections) != 1 || len(s.Versions) != 1 {
		t.Fatalf("%+v", s)
	}
	if p := s.Pods[0]; p.Spec.Containers != nil || p.Annotations != nil || p.ResourceVersion != "6" {
		t.Errorf("kept of a pod: %+v", p)
	}
	if w.Time().Wall.Abs() > time.Minute {
		t.Errorf("the wall's clock is %s ahead", w.Time().Wall)
	}
	for _, r := range a.requests {
		if strings.Contains(r, "secrets") || strings.Contains(r, "configmaps") && !strings.Contains(r, "PartialObjectMetadata") {
			t.Errorf("it asks for %s", r)
		}
	}
}
