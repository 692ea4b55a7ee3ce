// Package certificates answers CertificateSigningRequests: it approves those of nodes that may
// have a certificate of their own, signs what is approved and asked of the signers of
// Kubernetes, and deletes requests that nobody needs any more.
//
// What each signer takes is in sign.go, whom nodes' requests are approved for in approve.go,
// how long requests stay in clean.go. Other signers are other people's: their requests are only
// cleaned up. The kind, and who may approve and sign, live in
// internal/registry/certificates/certificatesigningrequest; the authority in internal/pki, whose
// key this package does not see.
package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	informers "k8s.io/client-go/informers/certificates/v1"
	listers "k8s.io/client-go/listers/certificates/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/pki"
)

// Name is the controller's, upstream's for its service account.
const Name = "certificate-controller"

// workers bound how many requests are worked on, and so signed, at once.
const workers = 4

type csr = certificatesv1.CertificateSigningRequest

// Config is what the controller works with. Every field is required.
type Config struct {
	env.Env
	// Sign makes a certificate, in PEM, of the system's authority.
	Sign func(asked *x509.CertificateRequest, uses pki.Uses, life time.Duration) ([]byte, error)
}

// Controller answers requests.
type Controller struct {
	config   Config
	loop     *run.Loop
	queue    *queue.Queue // requests
	requests listers.CertificateSigningRequestLister
	write    run.Commit[*csr]
	approve  run.Commit[*csr]
}

// New makes a controller.
func New(c Config) *Controller {
	client := c.Client.CertificatesV1().CertificateSigningRequests()
	informer := informers.NewCertificateSigningRequestInformer(c.Client, 0, cache.Indexers{})
	of := &Controller{
		config: c, loop: run.New(c.Env, "certificate signing requests"),
		requests: listers.NewCertificateSigningRequestLister(informer.GetIndexer()),
		write:    run.Commits(c.Env, client.UpdateStatus),
		approve: run.Commits(c.Env, func(ctx context.Context, r *csr, o metav1.UpdateOptions) (*csr, error) {
			return client.UpdateApproval(ctx, r.Name, r, o)
		}),
	}
	of.queue = of.loop.Queue(workers, of.sync)
	of.loop.WatchOwn(informer, run.Present(of.queue.AddObject))
	return of
}

// Run answers requests until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// sync does the next that is to be done of a request: what it writes brings it back here.
func (c *Controller) sync(ctx context.Context, name string) error {
	r, err := c.requests.Get(name)
	if apierrors.IsNotFound(err) || err == nil && r.DeletionTimestamp != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading request: %w", err)
	}
	if c.isDue(r) {
		return c.delete(ctx, r)
	}
	switch is := stateOf(r); {
	case is == pending:
		return c.approveNode(ctx, r)
	case is == approved && len(r.Status.Certificate) == 0:
		return c.sign(ctx, r)
	}
	return nil
}

// isDue tells whether a request is to be deleted, and sees to it that it is looked at again
// when it will be. It grows old by real time, as its timestamps are, and so does a certificate
// for everybody who checks one.
func (c *Controller) isDue(r *csr) bool {
	for _, end := range []func(*csr) (time.Time, bool){old, ends} {
		at, ok := end(r)
		if !ok {
			continue
		}
		left := at.Sub(c.config.Wall.Now())
		if left <= 0 {
			return true
		}
		c.queue.AddAfter(r.Name, left)
	}
	return false
}

// delete deletes a request as it was seen: one that has been answered meanwhile stays.
func (c *Controller) delete(ctx context.Context, r *csr) error {
	err := c.config.Client.CertificatesV1().CertificateSigningRequests().Delete(ctx, r.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &r.UID, ResourceVersion: &r.ResourceVersion},
	})
	if err != nil && !run.Overtaken(err) {
		return fmt.Errorf("deleting request: %w", err)
	}
	return nil
}
