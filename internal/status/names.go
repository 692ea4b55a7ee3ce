package status

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Names is how names of the cluster are resolved.
type Names struct {
	// Service is where pods ask.
	Service string
	// API is the name that was answered for the address of the API, "" where nobody was
	// asked: only nodes are answered.
	API string
	// Err is why there was no answer.
	Err error
}

// namesTimeout bounds how long an answer is waited for.
const namesTimeout = 2 * time.Second

// readNames asks the API where pods ask for names, nil where nowhere, and there for the name
// of the API's own address where this machine is a node.
func readNames(ctx context.Context, client kubernetes.Interface, here bool) (*Names, error) {
	service, err := client.CoreV1().Services(metav1.NamespaceSystem).Get(ctx, "kube-dns", metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the service kube-dns: %w", err)
	}
	n := &Names{Service: service.Spec.ClusterIP}
	if !here {
		return n, nil
	}
	api, err := client.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the service kubernetes: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(n.Service, "53"))
	}}
	names, err := resolver.LookupAddr(ctx, api.Spec.ClusterIP)
	if len(names) > 0 {
		n.API = strings.TrimSuffix(names[0], ".")
	}
	n.Err = err
	return n, nil
}
