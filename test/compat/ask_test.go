package compat

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/datadir"
)

// asker asks about names from the network of a pod, as its resolver would.
type asker struct {
	namespace string // of the network; "" for the machine's
	*dns.ClientConfig
}

// asksFrom returns the asker of a pod that runs.
func (s *system) asksFrom(t testing.TB, ns, pod string) asker {
	t.Helper()
	config, err := dns.ClientConfigFromReader(strings.NewReader(s.exec(t, ns, pod, "cat", "/etc/resolv.conf")))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	_, path := s.network(t, dir, ns, pod)
	return asker{path, config}
}

// asksFromHere returns what asks the cluster's DNS from the machine's network.
func (s *system) asksFromHere(t testing.TB) asker {
	t.Helper()
	server := s.field(t, "kube-system", "service/kube-dns", "{.spec.clusterIP}")
	return asker{"", &dns.ClientConfig{Servers: []string{server}, Port: "53"}}
}

// dial connects within the network.
func (a asker) dial(network string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a.namespace != "" {
			runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
			var ns int
			if ns, err = unix.Open(a.namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return
			}
			defer unix.Close(ns)
			if err = unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
				return
			}
		}
		conn, err = net.DialTimeout(network, net.JoinHostPort(a.Servers[0], a.Port), 5*time.Second)
	}()
	<-done
	return conn, err
}

// ask asks one question, and returns the answer with a code and records.
func (a asker) ask(network, name string, kind uint16) (*dns.Msg, error) {
	conn, err := a.dial(network)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	answer, _, err := (&dns.Client{Net: network, Timeout: 5 * time.Second}).ExchangeWithConn(question, &dns.Conn{Conn: conn})
	return answer, err
}

// records asks for a name as the search list says, by UDP and by TCP, and returns what was
// answered, each record without its name and time to live, sorted.
func (a asker) records(name string, kind uint16) ([]string, error) {
	var both [2][]string
	for i, network := range []string{"udp", "tcp"} {
		found := false
		for _, whole := range a.NameList(name) {
			answer, err := a.ask(network, whole, kind)
			if err != nil {
				return nil, fmt.Errorf("%s by %s: %w", whole, network, err)
			}
			if answer.Rcode == dns.RcodeNameError || answer.Rcode == dns.RcodeSuccess && len(answer.Answer) == 0 {
				continue
			}
			if answer.Rcode != dns.RcodeSuccess {
				return nil, fmt.Errorf("%s by %s: %s", whole, network, dns.RcodeToString[answer.Rcode])
			}
			for _, rr := range answer.Answer {
				both[i] = append(both[i], strings.TrimPrefix(rr.String(), rr.Header().String()))
			}
			slices.Sort(both[i])
			found = true
			break
		}
		if !found {
			return nil, fmt.Errorf("%s by %s: there is none", name, network)
		}
	}
	if !slices.Equal(both[0], both[1]) {
		return nil, fmt.Errorf("%s: %q by UDP, %q by TCP", name, both[0], both[1])
	}
	return both[0], nil
}

// resolves waits until names have records of a kind.
func (a asker) resolves(t testing.TB, kind uint16, want []string, names ...string) {
	t.Helper()
	slices.Sort(want)
	for _, name := range names {
		eventually(t, 30*time.Second, func() error {
			got, err := a.records(name, kind)
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("%s of %s is %q, want %q", dns.TypeToString[kind], name, got, want)
			}
			return err
		})
	}
}
