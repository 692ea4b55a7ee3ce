package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	constants "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/tools/remotecommand"
	clientspdy "k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

// translation serves a client that speaks v5.channel.k8s.io from a kubelet that speaks
// SPDY/3.1. It holds a few hundred KiB of output at most: a client that does not read
// stops the process that writes.
type translation struct {
	backend upgrade.Backend
	streams streams
	clock   clock.Wall
}

// errNoStatus is told a client whose command's end is not known. Without it the client
// took the end of the connection for a success.
var errNoStatus = errors.New("the connection to the node ended before the status of the command came")

// ServeHTTP implements http.Handler. What goes wrong at the kubelet is told on the
// channel of errors, as clients expect.
func (t *translation) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	socket, err := openSocket(w, req, t.streams, t.clock)
	if err != nil {
		return // answered
	}
	defer socket.close()
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	go socket.serve(cancel)
	err = t.stream(ctx, socket)
	socket.finish(req.Context(), statusOf(err))
}

// stream runs until the kubelet has said how the command ended, or ctx ends.
func (t *translation) stream(ctx context.Context, s *socket) error {
	way := &kubeletWay{backend: t.backend}
	defer way.close()
	// Every kubelet speaks v4, the first protocol that says how a success ended too.
	executor, err := remotecommand.NewSPDYExecutorForProtocols(way, clientspdy.NewUpgraderForStreaming(way), http.MethodPost, t.backend.URL,
		constants.StreamProtocolV4Name)
	if err != nil {
		return err
	}
	if err := executor.StreamWithContext(ctx, s.options()); err != nil {
		return err
	}
	if !way.told.Load() {
		return errNoStatus
	}
	return nil
}

// statusOf is what a client is told of how it ended.
func statusOf(err error) metav1.Status {
	var code exec.CodeExitError
	var status *apierrors.StatusError
	switch {
	case err == nil:
		return metav1.Status{Status: metav1.StatusSuccess}
	case errors.As(err, &status):
		return status.ErrStatus
	case errors.As(err, &code):
		return metav1.Status{
			Status: metav1.StatusFailure, Reason: constants.NonZeroExitCodeReason,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: constants.ExitCodeCauseType, Message: fmt.Sprint(code.ExitStatus())}}},
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", code),
		}
	}
	return apierrors.NewInternalError(err).ErrStatus
}

// kubeletWay opens one SPDY connection to a kubelet. It is used once.
type kubeletWay struct {
	backend upgrade.Backend
	conn    *upgrade.Conn
	refusal *upgrade.Refusal
	// told is set when something came on the stream of errors, where the status comes.
	told atomic.Bool
}

var _ httpstream.UpgradeRoundTripper = &kubeletWay{}

// RoundTrip implements http.RoundTripper.
func (k *kubeletWay) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, header, err := k.backend.Open(req.Context(), req.Method, spdy.HeaderSpdy31, req.Header)
	var refusal *upgrade.Refusal
	if errors.As(err, &refusal) && refusal.Code >= http.StatusBadRequest {
		k.refusal = refusal
		return &http.Response{StatusCode: refusal.Code, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	if err != nil {
		return nil, err
	}
	// What waits to write to a kubelet that does not read ends with the request.
	context.AfterFunc(req.Context(), func() { conn.Close() })
	k.conn = conn
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: header, Body: http.NoBody, Request: req}, nil
}

// NewConnection implements httpstream.UpgradeRoundTripper.
func (k *kubeletWay) NewConnection(*http.Response) (httpstream.Connection, error) {
	if k.refusal != nil {
		return nil, fmt.Errorf("unable to upgrade connection: %s", refusalText(k.refusal.Body))
	}
	conn, err := spdy.NewClientConnection(upgrade.Narrow(k.conn))
	if err != nil {
		return nil, err
	}
	return &watched{Connection: conn, told: &k.told}, nil
}

func (k *kubeletWay) close() {
	if k.conn != nil {
		k.conn.Close()
	}
}

// refusalText is what a kubelet said, which is a Status or plain text.
func refusalText(body []byte) string {
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		return status.Message
	}
	if text := strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD")); text != "" {
		return text
	}
	return "empty server response"
}

// watched notes whether the stream of errors says something.
type watched struct {
	httpstream.Connection
	told *atomic.Bool
}

// CreateStream implements httpstream.Connection.
func (w *watched) CreateStream(headers http.Header) (httpstream.Stream, error) {
	s, err := w.Connection.CreateStream(headers)
	if err != nil || headers.Get(corev1.StreamType) != corev1.StreamTypeError {
		return s, err
	}
	return &watchedStream{Stream: s, told: w.told}, nil
}

type watchedStream struct {
	httpstream.Stream
	told *atomic.Bool
}

// Read implements io.Reader.
func (w *watchedStream) Read(p []byte) (int, error) {
	n, err := w.Stream.Read(p)
	if n > 0 {
		w.told.Store(true)
	}
	return n, err
}
