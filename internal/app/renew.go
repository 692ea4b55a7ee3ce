package app

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/pki"
)

// renewEvery is how often certificates are looked at; they are renewed when a
// third of a year is left.
const renewEvery = 12 * time.Hour

// renewer renews certificates and calls renewed for each one.
type renewer struct {
	pairs   []*pki.Pair
	clock   clock.WithTicker
	log     *slog.Logger
	renewed func(*pki.Pair) error
}

// run looks at the certificates until ctx ends.
func (r *renewer) run(ctx context.Context) error {
	ticker := r.clock.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			r.renew()
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *renewer) renew() {
	for _, p := range r.pairs {
		done, err := p.Renew()
		if done && err == nil {
			err = r.renewed(p)
		}
		switch {
		case err != nil:
			r.log.Error("renewing a certificate failed, trying again later", "file", p.CertFile(), "error", err)
		case done:
			r.log.Info("renewed a certificate", "file", p.CertFile())
		}
	}
}
