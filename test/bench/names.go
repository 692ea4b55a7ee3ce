package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/test/system"
)

const (
	// askers ask at a time, for askFor.
	askers, askFor = 8, 3 * time.Second
	// manyNames are known at the second look, a thousand in an EndpointSlice.
	manyNames = 10_000
	// namesRange is of its own: the machine's own programs reach whichever system has it.
	namesRange, namesAt, askedName = "198.19.64.0/20", "198.19.64.10:53", "kubernetes.default.svc.cluster.local."
)

// measureNames asks the DNS of a node from the machine's network, beside a server that sends
// back what it gets, and reads what memory it takes.
func measureNames(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started("--service-cluster-ip-range", namesRange)
	if err != nil {
		return nil, err
	}
	if err := awaitNode(ctx, s); err != nil {
		return nil, err
	}
	all, err := clients(s, 1)
	if err != nil {
		return nil, err
	}
	if err := awaitName(ctx, askedName); err != nil {
		return nil, err
	}
	question, err := new(dns.Msg).SetQuestion(askedName, dns.TypeA).Pack()
	if err != nil {
		return nil, err
	}
	asked, err := exchange(namesAt, question)
	if err != nil {
		return nil, err
	}
	echo, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer echo.Close()
	go sendBack(echo)
	bare, err := exchange(echo.LocalAddr().String(), question)
	if err != nil {
		return nil, err
	}
	figures := []figure{{
		What: "DNS queries a second", Value: rate(asked), Unit: "1/s",
		Note: fmt.Sprintf("%d askers for %s, by the service's address; a bare UDP echo %s/s", askers, askFor, number(rate(bare))),
	}, {
		What: "DNS query, p99", Value: ms(asked.quantile(0.99)), Unit: "ms",
		Note: fmt.Sprintf("p50 %s; a bare UDP echo p50 %s, p99 %s", number(ms(asked.quantile(0.5))), number(ms(bare.quantile(0.5))), number(ms(bare.quantile(0.99)))),
	}}
	if err := nameMany(ctx, all[0], manyNames); err != nil {
		return nil, err
	}
	if err := awaitName(ctx, fmt.Sprintf("h%d.many.%s.svc.cluster.local.", manyNames-1, namespace)); err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	anonymous, resident, err := ofDNS(s)
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{
		What: fmt.Sprintf("memory of DNS with %d names, anonymous", manyNames), Value: anonymous, Unit: "MiB",
		Note: fmt.Sprintf("%s after the load; RSS %s, of which the program's file is shared", settle, number(resident)),
	})
	return figures, b.remove(s)
}

// awaitName returns once a name is known.
func awaitName(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		answer, err := dns.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, dns.TypeA), namesAt)
		if err == nil && len(answer.Answer) == 1 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for the name %s: %w", name, err)
		}
	}
}

// exchange has askers send the same question again and again, and returns how long each
// answer took.
func exchange(to string, question []byte) (durations, error) {
	var mu sync.Mutex
	var all durations
	var errs []error
	var wg sync.WaitGroup
	end := time.Now().Add(askFor)
	for range askers {
		wg.Go(func() {
			took, err := exchangeOne(to, question, end)
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, took...), append(errs, err)
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

func exchangeOne(to string, question []byte, end time.Time) (took []time.Duration, err error) {
	conn, err := net.Dial("udp4", to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end.Add(5 * time.Second)); err != nil {
		return nil, err
	}
	answer := make([]byte, 1500)
	for {
		began := time.Now()
		if began.After(end) {
			return took, nil
		}
		if _, err := conn.Write(question); err != nil {
			return took, err
		}
		if _, err := conn.Read(answer); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
}

// sendBack sends back what it gets until the socket is closed.
func sendBack(p net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := p.ReadFrom(b)
		if err != nil {
			return
		}
		if _, err := p.WriteTo(b[:n], from); err != nil {
			return
		}
	}
}

func rate(took durations) float64 { return float64(len(took)) / askFor.Seconds() }

// nameMany makes a headless service whose endpoints have names: h0, h1 and so on.
func nameMany(ctx context.Context, client kubernetes.Interface, n int) error {
	_, err := client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "many"},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}, metav1.CreateOptions{})
	for first := 0; first < n && err == nil; first += 1000 {
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: fmt.Sprintf("many-%d", first), Labels: map[string]string{discoveryv1.LabelServiceName: "many"}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(80))}},
		}
		for i := first; i < min(first+1000, n); i++ {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.9.%d.%d", i/250, i%250+1)}, Hostname: ptr.To(fmt.Sprintf("h%d", i))})
		}
		_, err = client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice, metav1.CreateOptions{})
	}
	return err
}

// ofDNS is what memory the process takes that answers for names, in MiB.
func ofDNS(s *system.System) (anonymous, resident float64, err error) {
	pids, err := processes(s)
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range pids {
		proc := filepath.Join("/proc", fmt.Sprint(pid))
		comm, err := os.ReadFile(filepath.Join(proc, "comm"))
		if err != nil || strings.TrimSpace(string(comm)) != "laterna-dns" {
			continue // another one, or it has ended
		}
		raw, err := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
		return rollup(string(raw), "Anonymous:"), rollup(string(raw), "Rss:"), err
	}
	return 0, 0, errors.New("no process answers for names")
}
