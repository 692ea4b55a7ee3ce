package inspect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/plain"
)

// webTimeout bounds the fetching of one document.
const webTimeout = 10 * time.Second

// Web fetches documents of issuers over TLS. It sends nothing but the address of the
// document and follows no redirection, so that what a token says decides about no
// request but the one to its issuer.
type Web struct{ client *http.Client }

// NewWeb returns a Web that believes the authorities of roots, or those of the machine
// when it is nil.
func NewWeb(roots *x509.CertPool) *Web {
	return &Web{documentClient(&http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DisableKeepAlives: true,
	})}
}

func documentClient(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		Timeout:       webTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get implements Getter.
func (w *Web) Get(ctx context.Context, address string, max int) ([]byte, error) {
	return get(ctx, w.client, address, max)
}

func get(ctx context.Context, client *http.Client, address string, max int) ([]byte, error) {
	body, err := fetch(ctx, client, address, max)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plain.Text(address), err)
	}
	return body, nil
}

// statusError is an answer that is not a success.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("the answer is %d %s", int(e), http.StatusText(int(e)))
}

func fetch(ctx context.Context, client *http.Client, address string, max int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("is not a URL")
	}
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, plainError(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, statusError(answer.StatusCode)
	}
	body, err := bounded.All(answer.Body, int64(max))
	if errors.Is(err, bounded.ErrTooLarge) {
		return nil, fmt.Errorf("the answer is longer than %d bytes", max)
	}
	if err != nil {
		return nil, plainError(err)
	}
	return body, nil
}

// plainError returns why a request failed, without the address, which is said elsewhere.
func plainError(err error) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	return plain.Error(err)
}
