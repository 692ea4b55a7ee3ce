package pki

import (
	"context"
	"log/slog"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// renewEvery is how often certificates are looked at; they are renewed when a
// third of a year is left.
const renewEvery = 12 * time.Hour

// Renewer renews certificates before they end. All fields are required.
type Renewer struct {
	Pairs []*Pair
	// Clock is wall time, as everybody has it who checks a certificate.
	Clock clock.Wall
	Log   *slog.Logger
	// Renewed is called for each one that was renewed.
	Renewed func(*Pair) error
}

// Run looks at the certificates until ctx ends. It returns no error: what could not be
// renewed is logged and tried again.
func (r *Renewer) Run(ctx context.Context) error {
	ticker := r.Clock.NewTicker(renewEvery)
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

func (r *Renewer) renew() {
	for _, p := range r.Pairs {
		done, err := p.Renew()
		if done && err == nil {
			err = r.Renewed(p)
		}
		switch {
		case err != nil:
			r.Log.Error("renewing a certificate failed, trying again later", "file", p.CertFile(), "error", err)
		case done:
			r.Log.Info("renewed a certificate", "file", p.CertFile())
		}
	}
}
