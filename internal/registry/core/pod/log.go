package pod

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericrest "k8s.io/apiserver/pkg/registry/generic/rest"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/bounds"
	"laterna.dev/laterna/internal/registry/resource"
)

// logREST serves pods/log from the kubelet of the pod's node.
type logREST struct {
	pods *resource.Store[*corev1.Pod]
	dial *dialer
}

var (
	_ rest.GetterWithOptions = &logREST{}
	_ rest.StorageMetadata   = &logREST{}
)

func (r *logREST) New() runtime.Object { return &corev1.Pod{} }
func (r *logREST) Destroy()            {}

// ProducesMIMETypes implements rest.StorageMetadata.
func (r *logREST) ProducesMIMETypes(string) []string { return []string{"text/plain"} }

// ProducesObject implements rest.StorageMetadata.
func (r *logREST) ProducesObject(string) any { return "" }

// OverrideMetricsVerb counts reading a log as a connection, which it is.
func (r *logREST) OverrideMetricsVerb(verb string) string {
	if verb == http.MethodGet {
		return "CONNECT"
	}
	return verb
}

// NewGetOptions implements rest.GetterWithOptions.
func (r *logREST) NewGetOptions() (runtime.Object, bool, string) {
	return &corev1.PodLogOptions{}, false, ""
}

// Get implements rest.GetterWithOptions. A pod without a node has an empty log.
func (r *logREST) Get(ctx context.Context, name string, options runtime.Object) (runtime.Object, error) {
	o, ok := options.(*corev1.PodLogOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %T", options)
	}
	if errs := validateLogOptions(o); len(errs) > 0 {
		return nil, bounds.Invalid(corev1.SchemeGroupVersion.WithKind("PodLogOptions").GroupKind(), name, errs)
	}
	p, err := getPod(ctx, r.pods, name)
	if err != nil {
		return nil, err
	}
	stream := &logStream{genericrest.LocationStreamer{
		Transport:       r.dial.verified,
		ContentType:     "text/plain",
		Flush:           o.Follow,
		ResponseChecker: logChecker{genericrest.NewGenericHttpResponseChecker(corev1.Resource("pods/log"), name)},
		RedirectChecker: genericrest.PreventRedirects,
	}}
	if o.InsecureSkipTLSVerifyBackend {
		stream.Transport = r.dial.unverified
	}
	stream.Location, err = r.location(ctx, p, o)
	return stream, err
}

// logStream is a log whose last bytes come before its end, never with it: what answers
// over WebSocket (wsstream.Reader) drops what it reads together with an error.
type logStream struct{ genericrest.LocationStreamer }

// InputStream implements rest.ResourceStreamer.
func (s *logStream) InputStream(ctx context.Context, apiVersion, accept string) (io.ReadCloser, bool, string, error) {
	stream, flush, contentType, err := s.LocationStreamer.InputStream(ctx, apiVersion, accept)
	if stream != nil {
		stream = endApart{stream}
	}
	return stream, flush, contentType, err
}

type endApart struct{ io.ReadCloser }

// Read implements io.Reader. An error that came with bytes comes again without.
func (r endApart) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		err = nil
	}
	return n, err
}

// logChecker takes as a log only what comes with 200, and as an error only what is one.
type logChecker struct {
	genericrest.HttpResponseChecker
}

// Check implements genericrest.HttpResponseChecker.
func (c logChecker) Check(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	if resp.StatusCode < http.StatusBadRequest {
		resp.Body.Close()
		return errors.NewInternalError(fmt.Errorf("the kubelet answered the request for a log with status %d", resp.StatusCode))
	}
	return c.HttpResponseChecker.Check(resp)
}

// location returns nil for a pod without a node.
func (r *logREST) location(ctx context.Context, p *corev1.Pod, o *corev1.PodLogOptions) (*url.URL, error) {
	container, err := chooseContainer(p, o.Container)
	if err != nil || p.Spec.NodeName == "" {
		return nil, err
	}
	return r.dial.locate(ctx, p.Spec.NodeName, fmt.Sprintf("/containerLogs/%s/%s/%s", p.Namespace, p.Name, container), logQuery(o))
}

func logQuery(o *corev1.PodLogOptions) url.Values {
	query := url.Values{}
	flag := func(name string, set bool) {
		if set {
			query.Set(name, "true")
		}
	}
	number := func(name string, value *int64) {
		if value != nil {
			query.Set(name, strconv.FormatInt(*value, 10))
		}
	}
	flag("follow", o.Follow)
	flag("previous", o.Previous)
	flag("timestamps", o.Timestamps)
	number("sinceSeconds", o.SinceSeconds)
	if o.SinceTime != nil {
		query.Set("sinceTime", o.SinceTime.Format(time.RFC3339))
	}
	number("tailLines", o.TailLines)
	number("limitBytes", o.LimitBytes)
	if o.Stream != nil && *o.Stream != corev1.LogStreamAll {
		query.Set("stream", *o.Stream)
	}
	return query
}

func validateLogOptions(o *corev1.PodLogOptions) field.ErrorList {
	var errs field.ErrorList
	if o.TailLines != nil && *o.TailLines < 0 {
		errs = append(errs, field.Invalid(field.NewPath("tailLines"), *o.TailLines, apivalidation.IsNegativeErrorMsg))
	}
	if o.LimitBytes != nil && *o.LimitBytes < 1 {
		errs = append(errs, field.Invalid(field.NewPath("limitBytes"), *o.LimitBytes, "must be greater than 0"))
	}
	switch {
	case o.SinceSeconds != nil && o.SinceTime != nil:
		errs = append(errs, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
	case o.SinceSeconds != nil && *o.SinceSeconds < 1:
		errs = append(errs, field.Invalid(field.NewPath("sinceSeconds"), *o.SinceSeconds, "must be greater than 0"))
	}
	if o.Stream == nil {
		return errs
	}
	switch *o.Stream {
	case corev1.LogStreamAll:
	case corev1.LogStreamStdout, corev1.LogStreamStderr:
		if o.TailLines != nil {
			errs = append(errs, field.Forbidden(field.NewPath(""), "`tailLines` and specific `stream` are mutually exclusive for now"))
		}
	default:
		errs = append(errs, field.NotSupported(field.NewPath("stream"), *o.Stream,
			[]string{corev1.LogStreamAll, corev1.LogStreamStderr, corev1.LogStreamStdout}))
	}
	return errs
}
