package laternatest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
)

// exampleTest is the test that an example is not.
type exampleTest struct {
	recorder
	ctx    context.Context
	cancel context.CancelFunc
}

func test() *exampleTest {
	ctx, cancel := context.WithCancel(context.Background())
	return &exampleTest{ctx: ctx, cancel: cancel}
}

func (t *exampleTest) Context() context.Context { return t.ctx }

// Errorf fails the example, as its output is another one then.
func (t *exampleTest) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (t *exampleTest) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (t *exampleTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (t *exampleTest) FailNow() { panic("the example has failed") }

func (t *exampleTest) end() {
	t.cancel()
	t.cleanUp()
}

// leadingTo is a network in which every name leads to one address.
func leadingTo(address string, roots *x509.CertPool) http.RoundTripper {
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}
