// Command controller is an operator as people write them, on controller-runtime: it has a
// manager with a cache and leader election, reconciles shops into Deployments and Secrets,
// and serves webhooks that change, refuse and convert shops. It is run by test/compat.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	v1 "laterna.dev/laterna/test/tools/controller/v1"
	"laterna.dev/laterna/test/tools/controller/v1beta1"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs a manager until it is told to end, or no longer leads. It prints "leading" when
// it does.
func run() error {
	// The flag --kubeconfig is of controller-runtime.
	certs := flag.String("certs", "", "directory with tls.crt and tls.key of the webhooks")
	listen := flag.String("webhooks", "127.0.0.1:9443", "where webhooks are served")
	namespace := flag.String("namespace", "", "where the lease of the leader is")
	flag.Parse()
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil)))

	host, port, err := net.SplitHostPort(*listen)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	v1.AddToScheme(scheme)
	v1beta1.AddToScheme(scheme)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		WebhookServer:           webhook.NewServer(webhook.Options{Host: host, Port: number, CertDir: *certs}),
		LeaderElection:          true,
		LeaderElectionID:        "shops",
		LeaderElectionNamespace: *namespace,
		LeaseDuration:           new(8 * time.Second),
		RenewDeadline:           new(6 * time.Second),
		RetryPeriod:             new(time.Second),
	})
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	if err := (&keeper{client: mgr.GetClient(), events: mgr.GetEventRecorder("shop-controller")}).setUp(ctx, mgr); err != nil {
		return err
	}
	if err := ctrl.NewWebhookManagedBy(mgr, &v1.Shop{}).WithDefaulter(defaults{}).WithValidator(judge{mgr.GetClient()}).Complete(); err != nil {
		return err
	}
	go func() {
		<-mgr.Elected()
		fmt.Println("leading")
	}()
	return mgr.Start(ctx)
}
