package podapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/upgrade"
)

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("ok"))
}

func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{}}
	for _, p := range s.cfg.Host.Pods() {
		list.Items = append(list.Items, *p)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

func (s *Server) containerLogs(w http.ResponseWriter, r *http.Request) {
	o, previous, err := logOptions(r.URL.Query(), s.cfg.Clock.Now())
	if err != nil {
		fail(w, err)
		return
	}
	src, err := s.cfg.Host.Log(target(r), previous)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	out := &started{ResponseWriter: w}
	control := http.NewResponseController(w)
	flush := func() { _ = control.Flush() }
	if o.Follow {
		flush() // the caller sees that the stream stands before the first line
	}
	if err := logs.Copy(r.Context(), out, flush, src, o); err != nil && r.Context().Err() == nil {
		s.cfg.Log.Debug("log not sent", "path", r.URL.Path, "error", err)
		if !out.wrote && !o.Follow {
			fail(w, err)
		}
	}
}

// started notes whether an answer has begun.
type started struct {
	http.ResponseWriter
	wrote bool
}

func (s *started) Write(p []byte) (int, error) {
	s.wrote = true
	return s.ResponseWriter.Write(p)
}

// logOptions reads the parameters of corev1.PodLogOptions.
func logOptions(q url.Values, now time.Time) (o logs.Options, previous bool, err error) {
	bad := func(name string) (logs.Options, bool, error) {
		return logs.Options{}, false, &Problem{http.StatusUnprocessableEntity, "invalid value of parameter " + name}
	}
	flag := func(name string) bool { v, _ := strconv.ParseBool(q.Get(name)); return v }
	number := func(name string) (*int64, bool) {
		v := q.Get(name)
		if v == "" || (name == "tailLines" && v == "all") {
			return nil, true
		}
		n, err := strconv.ParseInt(v, 10, 64)
		return &n, err == nil && n >= 0
	}
	var ok bool
	if o.Tail, ok = number("tailLines"); !ok {
		return bad("tailLines")
	}
	if o.LimitBytes, ok = number("limitBytes"); !ok {
		return bad("limitBytes")
	}
	seconds, ok := number("sinceSeconds")
	if !ok {
		return bad("sinceSeconds")
	}
	if seconds != nil {
		o.Since = now.Add(-time.Duration(*seconds) * time.Second)
	}
	if v := q.Get("sinceTime"); v != "" {
		if o.Since, err = time.Parse(time.RFC3339, v); err != nil {
			return bad("sinceTime")
		}
	}
	switch q.Get("stream") {
	case "", corev1.LogStreamAll:
	case corev1.LogStreamStdout:
		o.Stream = logs.Stdout
	case corev1.LogStreamStderr:
		o.Stream = logs.Stderr
	default:
		return bad("stream")
	}
	o.Follow, o.Timestamps = flag("follow"), flag("timestamps")
	return o, flag("previous"), nil
}

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	streams, err := streamsOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	command := r.Form["command"]
	if len(command) == 0 {
		fail(w, &Problem{http.StatusBadRequest, "you must specify a command"})
		return
	}
	done, err := s.streams.open(target(r))
	if err != nil {
		fail(w, err)
		return
	}
	defer done()
	location, err := s.cfg.Host.ExecURL(r.Context(), target(r), command, streams)
	s.pipe(w, r, location, err, nil)
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	streams, err := streamsOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	done, err := s.streams.open(target(r))
	if err != nil {
		fail(w, err)
		return
	}
	defer done()
	location, err := s.cfg.Host.AttachURL(r.Context(), target(r), streams)
	s.pipe(w, r, location, err, s.hold)
}

func streamsOf(r *http.Request) (cri.Streams, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return cri.Streams{}, &Problem{http.StatusMethodNotAllowed, "exec and attach take GET or POST"}
	}
	if err := r.ParseForm(); err != nil {
		return cri.Streams{}, &Problem{http.StatusBadRequest, "parameters cannot be read"}
	}
	flag := func(name string) bool { v, _ := strconv.ParseBool(r.Form.Get(name)); return v }
	s := cri.Streams{Stdin: flag("input"), Stdout: flag("output"), Stderr: flag("error"), TTY: flag("tty")}
	if s.TTY {
		s.Stderr = false // a terminal has one output
	}
	if !s.Stdin && !s.Stdout && !s.Stderr {
		return s, &Problem{http.StatusBadRequest, "you must specify at least 1 of stdin, stdout, stderr"}
	}
	return s, nil
}

// pipe hands the connection on to the runtime's streaming server. hold may be nil.
func (s *Server) pipe(w http.ResponseWriter, r *http.Request, location string, err error, hold *upgrade.Hold) {
	if err != nil {
		fail(w, err)
		return
	}
	to, err := url.Parse(location)
	if err != nil {
		fail(w, err)
		return
	}
	handler := &upgrade.Handler{
		Backend: upgrade.Backend{
			URL: to, Wait: runtimeTimeout, Clock: s.cfg.Clock,
			Dial: func(ctx context.Context) (net.Conn, error) { return dialRuntime(ctx, to) },
		},
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) { fail(w, err) }, Clock: s.cfg.Clock, Gone: upgrade.Closed, Hold: hold,
	}
	handler.ServeHTTP(w, r)
}

// dialRuntime opens a connection to the runtime's streaming server.
func dialRuntime(ctx context.Context, to *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, runtimeTimeout)
	defer cancel()
	port := to.Port()
	switch {
	case to.Scheme == "https":
		if port == "" {
			port = "443"
		}
		return new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	case port == "":
		port = "80"
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
}
