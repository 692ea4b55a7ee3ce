package webhook

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
)

// certificate is the serving certificate in two files, which somebody else replaces. They
// are read for each handshake, of which there are few, and parsed where they have changed.
type certificate struct {
	certFile, keyFile string
	clock             clock.Wall
	counts            *counts
	log               *slog.Logger

	mu        sync.Mutex
	cert, key []byte
	current   *tls.Certificate
	since     time.Time
}

// get returns the certificate in the files. While they do not belong together, or cannot be
// read, it is the one of before.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.load()
	if err != nil && c.current == nil {
		return nil, err
	}
	if err != nil {
		c.log.Warn("certificate is passed over, the last good one is served", "err", err)
	}
	return c.current, nil
}

func (c *certificate) load() error {
	cert, err := bounded.File(c.certFile, bounded.Document)
	if err != nil {
		return fmt.Errorf("reading certificate: %w", err)
	}
	key, err := bounded.File(c.keyFile, bounded.Document)
	if err != nil {
		return fmt.Errorf("reading key of the certificate: %w", err)
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("reading certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	now := c.clock.Now()
	if c.current != nil {
		c.counts.rotations.Observe(now.Sub(c.since).Seconds())
		c.log.Info("certificate was replaced", "file", c.certFile)
	}
	c.cert, c.key, c.current, c.since = cert, key, &pair, now
	return nil
}
