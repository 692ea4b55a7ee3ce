// Package httpget fetches one document over HTTP, with a bound on everything that the
// server decides: time, size, redirections.
//
// It owns the exchange alone. What is asked for, and what the document says, lives with
// boundtoken/discovery and internal/inspect.
package httpget

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/plain"
)

// Timeout bounds the fetching of one document.
const Timeout = 10 * time.Second

// NewClient returns a client that gives up after Timeout and follows no redirection, so
// that nobody but the caller decides whom a request goes to.
func NewClient(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// StatusError is an answer that is not a success.
type StatusError int

// Error implements error.
func (e StatusError) Error() string {
	return fmt.Sprintf("the answer is %d %s", int(e), http.StatusText(int(e)))
}

// JSON returns the body of a successful answer, which is at most max bytes, and its
// header. Errors do not repeat the address and are fit for terminals; one of an answer that
// is not a success is a StatusError.
func JSON(ctx context.Context, client *http.Client, address string, max int) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, errors.New("is not a URL")
	}
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, nil, plain.Error(bare(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, StatusError(answer.StatusCode)
	}
	body, err := bounded.All(answer.Body, int64(max))
	if errors.Is(err, bounded.ErrTooLarge) {
		return nil, nil, fmt.Errorf("the answer is longer than %d bytes", max)
	}
	if err != nil {
		return nil, nil, plain.Error(bare(err))
	}
	return body, answer.Header, nil
}

// bare returns why a request failed, without the address.
func bare(err error) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		return outer.Err
	}
	return err
}
