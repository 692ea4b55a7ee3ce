package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/json"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/network/backends"
)

const (
	// maxAnswer is how large an answer may be: a patch, in base64, that makes an object as
	// large as the store takes, twice over.
	maxAnswer = 4 << 20
	// dialTimeout is how long one endpoint of a service may take to accept, so that there
	// is time for another.
	dialTimeout = 3 * time.Second
)

// unresolved leaves services as they are named: who answers for them is found call by call.
type unresolved struct{}

// ResolveEndpoint implements webhookutil.ServiceResolver.
func (unresolved) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(name+"."+namespace+".svc", strconv.Itoa(int(port)))}, nil
}

// connections says how webhooks are called: without any credentials, whoever they are.
func (c Config) connections(webhookutil.AuthenticationInfoResolver) webhookutil.AuthenticationInfoResolver {
	return connections(c.Client, 0, caller{check: reviewed(c.CheckPatch)})
}

// Conversions are how webhooks are called that convert custom resources.
type Conversions struct {
	Services    webhookutil.ServiceResolver
	Connections webhookutil.AuthenticationInfoResolverWrapper
}

const (
	// conversionTimeout is how long a conversion may take. Kubernetes waits for ever, and
	// with it all who watch the resource.
	conversionTimeout = 30 * time.Second
	// conversionGrowth is how many times as large as what is converted an answer may be:
	// lists are converted whole.
	conversionGrowth = 4
)

// NewConversions returns how webhooks of the services that client reads are called.
func NewConversions(client kubernetes.Interface) Conversions {
	return Conversions{unresolved{}, func(webhookutil.AuthenticationInfoResolver) webhookutil.AuthenticationInfoResolver {
		return connections(client, conversionTimeout, caller{growth: conversionGrowth})
	}}
}

// connections are calls by to, which is given what carries them out.
func connections(client kubernetes.Interface, timeout time.Duration, to caller) webhookutil.AuthenticationInfoResolver {
	wrap := func(config *rest.Config, endpoints func(context.Context) ([]netip.AddrPort, error)) *rest.Config {
		config.Timeout = timeout
		config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			called := to
			called.next, called.endpoints = next, endpoints
			return called
		})
		return config
	}
	return &webhookutil.AuthenticationInfoResolverDelegator{
		ClientConfigForFunc: func(string) (*rest.Config, error) { return wrap(&rest.Config{}, nil), nil },
		ClientConfigForServiceFunc: func(name, namespace string, port int) (*rest.Config, error) {
			return wrap(&rest.Config{
				Dial:  backends.OneMachineDialer(dialTimeout).DialContext,
				Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }, // no proxy knows pods
			}, service{client, namespace, name, int32(port)}.endpoints), nil
		},
	}
}

// caller calls a webhook and takes what a webhook should answer, and no more.
type caller struct {
	next http.RoundTripper
	// endpoints returns whom to call in place of the service that a request names; nil
	// calls whom it names.
	endpoints func(context.Context) ([]netip.AddrPort, error)
	// growth is how many times as large as the request an answer may be that is larger
	// than maxAnswer.
	growth int64
	// check refuses what must not be taken from a webhook. Optional.
	check func(req *http.Request, body []byte) error
}

// RoundTrip implements http.RoundTripper.
func (c caller) RoundTrip(req *http.Request) (*http.Response, error) {
	response, err := c.call(req)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		return nil, fmt.Errorf("the webhook answers %s to %q, and redirects are not followed", response.Status, response.Header.Get("Location"))
	}
	body, err := bounded.All(response.Body, max(maxAnswer, c.growth*req.ContentLength))
	if late := req.Context().Err(); late != nil {
		return nil, late // what came may be a part
	}
	if err != nil {
		return nil, fmt.Errorf("reading the webhook's answer: %w", err)
	}
	if response.StatusCode < 300 && c.check != nil {
		if err := c.check(req, body); err != nil {
			return nil, err
		}
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return response, nil
}

// call makes the request to the first endpoint that can be connected to.
func (c caller) call(req *http.Request) (*http.Response, error) {
	if c.endpoints == nil {
		return c.next.RoundTrip(req)
	}
	all, err := c.endpoints(req.Context())
	if err != nil {
		return nil, err
	}
	var last error
	for _, endpoint := range all {
		to := req.Clone(req.Context())
		to.Host, to.URL.Host = req.URL.Host, endpoint.String()
		if req.GetBody != nil {
			if to.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		response, err := c.next.RoundTrip(to)
		if err == nil {
			return response, nil
		}
		last = err
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || req.Context().Err() != nil {
			break
		}
	}
	return nil, last
}

// review is what matters here of an AdmissionReview, of which one half is sent and the
// other comes back.
type review struct {
	Request struct {
		Resource struct {
			Group    string `json:"group"`
			Resource string `json:"resource"`
		} `json:"resource"`
	} `json:"request"`
	Response struct {
		Patch []byte `json:"patch"`
	} `json:"response"`
}

// reviewed refuses answers in other encodings than JSON, which could not be looked at here,
// and patches that no client may send.
func reviewed(checkPatch func(schema.GroupResource, []byte) error) func(*http.Request, []byte) error {
	return func(req *http.Request, body []byte) error {
		if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
			return errors.New("the webhook's answer is not an AdmissionReview in JSON")
		}
		var answer, asked review
		if err := json.UnmarshalCaseSensitivePreserveInts(body, &answer); err != nil {
			return fmt.Errorf("the webhook's answer is not an AdmissionReview: %w", err)
		}
		if len(answer.Response.Patch) == 0 {
			return nil
		}
		if req.GetBody != nil {
			sent, err := req.GetBody()
			if err != nil {
				return err
			}
			text, err := bounded.All(sent, req.ContentLength)
			if err != nil {
				return err
			}
			if err := json.UnmarshalCaseSensitivePreserveInts(text, &asked); err != nil {
				return fmt.Errorf("reading back what was asked: %w", err)
			}
		}
		if err := checkPatch(schema.GroupResource{Group: asked.Request.Resource.Group, Resource: asked.Request.Resource.Resource}, answer.Response.Patch); err != nil {
			return fmt.Errorf("the webhook's patch: %w", err)
		}
		return nil
	}
}
