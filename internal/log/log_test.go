package log_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"laterna.dev/laterna/internal/log"
)

func TestLibrariesAreQuietUnlessAsked(t *testing.T) {
	for _, tc := range []struct {
		verbosity int
		info      bool
	}{{0, false}, {1, true}} {
		var buf bytes.Buffer
		log.BridgeLibraries(log.New(&buf, tc.verbosity), tc.verbosity)
		klog.InfoS("chatter")
		klog.ErrorS(nil, "trouble")
		klog.ErrorS(nil, "Error on socket receive")
		klog.ErrorS(nil, "Timeout or abort while handling", "method", "GET")
		klog.ErrorS(errors.New("broken pipe"), "Error proxying data from client to backend")
		klog.Flush()
		got := buf.String()
		if strings.Contains(got, "chatter") != tc.info || !strings.Contains(got, "trouble") || strings.Contains(got, "socket") || strings.Contains(got, "proxying") {
			t.Errorf("verbosity %d printed:\n%s", tc.verbosity, got)
		}
	}
}

func TestHandlersThatEndLateAreReportedWhenTheyPanicked(t *testing.T) {
	for result, shown := range map[any]bool{nil: false, "out of luck": true} {
		var buf bytes.Buffer
		log.BridgeLibraries(log.New(&buf, 0), 0)
		klog.ErrorS(nil, "Post-timeout activity", "timeElapsed", "1ms", "result", result)
		klog.Flush()
		if got := buf.Len() > 0; got != shown {
			t.Errorf("%v: shown %v, want %v", result, got, shown)
		}
	}
}

func TestClientsThatLeaveAreNotReported(t *testing.T) {
	for _, tc := range []struct {
		message, err string
		verbosity    int
		shown        bool
	}{
		{"Failed to encode watch event", "client disconnected", 0, false},
		{"Failed to encode watch event", "write tcp 127.0.0.1:1->127.0.0.1:2: write: broken pipe", 0, false},
		{"Failed to encode watch event", "no kind is registered", 0, true},
		{"Unhandled Error", "apiserver was unable to write a JSON response: http: Handler timeout", 0, false},
		{"Unhandled Error", "apiserver was unable to write a JSON response: out of luck", 0, true},
		{"Unhandled Error", "FinishRequest: post-timeout activity - time-elapsed: 5µs, panicked: false, err: context canceled, panic-reason: <nil>", 0, false},
		{"Unhandled Error", "FinishRequest: post-timeout activity - time-elapsed: 5µs, panicked: true, err: context canceled, panic-reason: out of luck", 0, true},
		{"Something else", "client disconnected", 0, true},
		{"Failed to encode watch event", "client disconnected", 5, true},
	} {
		var buf bytes.Buffer
		log.BridgeLibraries(log.New(&buf, tc.verbosity), tc.verbosity)
		klog.ErrorS(errors.New(tc.err), tc.message)
		klog.Flush()
		if shown := buf.Len() > 0; shown != tc.shown {
			t.Errorf("%s: %s: shown %v, want %v", tc.message, tc.err, shown, tc.shown)
		}
	}
}
