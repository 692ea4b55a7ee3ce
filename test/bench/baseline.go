package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// benchmarkLine is a line that `go test -bench` prints for one benchmark.
var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\w+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)

// measurePublish runs the publisher's own benchmarks. The baseline is the system
// calls that no writer of that layout can do without.
func measurePublish(ctx context.Context, _ *bench) ([]figure, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Publish|SystemCalls)$",
		"-benchtime", "300ms", "-count", "5", "./projection/atomicdir").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLines(string(out)))
	}
	found := map[string][]float64{}
	for _, match := range benchmarkLine.FindAllStringSubmatch(string(out), -1) {
		ns, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return nil, err
		}
		found[match[1]] = append(found[match[1]], ns/1000)
	}
	publish, bare := medianOf(found["Publish"]), medianOf(found["SystemCalls"])
	if publish == 0 || bare == 0 {
		return nil, fmt.Errorf("no figures in %s", strings.TrimSpace(string(out)))
	}
	return []figure{{
		What: "publish 10 files ÷ bare system calls", Value: publish / bare, Unit: "×", Budget: 3,
		Note: fmt.Sprintf("%s µs ÷ %s µs", number(publish), number(bare)),
	}}, nil
}

// measureCrypto measures what a token and a connection cost without any server.
func measureCrypto(ctx context.Context, _ *bench) ([]figure, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	config, err := selfSigned(ecKey)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("a token"))
	var figures []figure
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"baseline: RS256 signature alone (2048 bits)", func() error {
			_, err := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, digest[:])
			return err
		}},
		{"baseline: ES256 signature alone", func() error {
			_, err := ecdsa.SignASN1(rand.Reader, ecKey, digest[:])
			return err
		}},
		{"baseline: TLS 1.3 handshake alone, both sides, ECDSA P-256", func() error { return handshake(ctx, config) }},
	} {
		each, n, err := repeat(c.do, 500*time.Millisecond)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		figures = append(figures, figure{What: c.what, Value: ms(each), Unit: "ms CPU", Note: fmt.Sprintf("n=%d", n)})
	}
	return figures, nil
}

// repeat calls do one after the other for about d and returns the mean CPU time of
// this process, as the figures of the server are CPU time too.
func repeat(do func() error, d time.Duration) (each time.Duration, n int, err error) {
	before, begin := usage(), time.Now()
	for ; time.Since(begin) < d; n++ {
		if err := do(); err != nil {
			return 0, n, err
		}
	}
	return (usage() - before) / time.Duration(n), n, nil
}

// usage is the CPU time of this process, with all its threads.
func usage() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func selfSigned(key *ecdsa.PrivateKey) (*tls.Config, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: "localhost", RootCAs: roots, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
	}, nil
}

func handshake(ctx context.Context, config *tls.Config) error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Server(b, config).HandshakeContext(ctx) // its error closes nothing: the client's tells
	return tls.Client(a, config).HandshakeContext(ctx)
}
