package probe

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// maxOutput is how much is kept of what the other side says, in bytes.
	maxOutput = 10 << 10
	// tries is how often a probe is carried out that could not be.
	tries = 3
)

// asker carries probes out.
type asker struct {
	exec        Exec
	agent       string // of HTTP and gRPC requests
	plain, http *http.Transport
}

func newAsker(cfg Config) asker {
	return asker{exec: cfg.Exec, agent: "kube-probe/" + cfg.Version, plain: NewTransport(true), http: NewTransport(false)}
}

// run carries a probe out. What cannot be asked is tried again at once; a failure is not.
func (a *asker) run(ctx context.Context, c Container, k Kind, p *corev1.Probe) (r Run) {
	for range tries {
		r = a.ask(ctx, c, p)
		if r.Result != Unknown || ctx.Err() != nil {
			break
		}
	}
	r.Kind = k
	r.Output = strings.ToValidUTF8(r.Output[:min(len(r.Output), maxOutput)], "\uFFFD")
	return r
}

func (a *asker) ask(ctx context.Context, c Container, p *corev1.Probe) Run {
	limit := timeout(p)
	switch {
	case p.Exec != nil:
		return a.command(ctx, c, p.Exec, limit)
	case p.HTTPGet != nil:
		return a.httpGet(ctx, c, p.HTTPGet, limit)
	case p.TCPSocket != nil:
		port, err := Port(p.TCPSocket.Port, c.Spec)
		if err != nil {
			return unknown(err)
		}
		return tcp(ctx, address(cmp.Or(p.TCPSocket.Host, c.Host), port), limit)
	case p.GRPC != nil:
		return a.health(ctx, address(c.Host, int(p.GRPC.Port)), p.GRPC, limit)
	}
	return unknown(fmt.Errorf("missing probe handler for container %s", c.Spec.Name))
}

func failed(output string) Run { return Run{Result: Failed, Output: output} }

func unknown(err error) Run { return Run{Result: Unknown, Output: err.Error()} }

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Port is the number of a port that a handler names: one of the container's own by its
// name, or a number.
func Port(port intstr.IntOrString, c *corev1.Container) (int, error) {
	n := port.IntValue()
	if port.Type == intstr.String {
		for _, p := range c.Ports {
			if p.Name == port.StrVal {
				n = int(p.ContainerPort)
			}
		}
	}
	if n < 1 || n > 65535 {
		return 0, fmt.Errorf("container %s has no port %q", c.Name, port.String())
	}
	return n, nil
}

// tcp opens a connection and closes it.
func tcp(ctx context.Context, addr string, limit time.Duration) Run {
	d := dialer()
	d.Timeout = limit
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return failed(err.Error())
	}
	conn.Close()
	return Run{}
}

// dialer is of all connections of probes: they are short, and nobody keeps them alive.
func dialer() *net.Dialer { return &net.Dialer{KeepAlive: -1} }
