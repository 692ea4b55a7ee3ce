package apiserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/tokens/keys"
)

var (
	_ component.Component = &apiserver.Server{}
	_ component.Readier   = &apiserver.Server{}
	_ component.Failer    = &apiserver.Server{}
)

// system is a real API server on a real store.
type system struct {
	t         *testing.T
	dir       string
	authority *pki.Authority
	store     *etcd.Server
	server    *apiserver.Server
	keys      *keys.Ring
	addr      string
	group     component.Group
	// took is from the beginning of the start to readiness.
	took time.Duration
	// clientset is what admin returns. A certificate and a connection for each request
	// took longer than the requests.
	clientset func() kubernetes.Interface
}

// boot starts a system in dir that ends with the test.
func boot(t *testing.T, dir string, change ...func(*apiserver.Config)) *system {
	t.Helper()
	began := time.Now()
	s := build(t, dir, change...)
	must(t, s.group.Start(t.Context()))
	eventually(t, s.server.Ready)
	s.took = time.Since(began)
	return s
}

// build returns a system that has not started and ends with the test.
func build(t *testing.T, dir string, change ...func(*apiserver.Config)) *system {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	authority, err := pki.OpenAuthority(filepath.Join(dir, "pki"), clock.Real())
	must(t, err)
	serving, err := authority.Pair(pki.Leaf{Name: "apiserver", CommonName: "apiserver", Server: true, Hosts: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	must(t, err)
	kubelet, err := authority.Pair(pki.Leaf{Name: "kubelet-client", CommonName: "kube-apiserver-kubelet-client", Organizations: []string{"system:masters"}, Client: true})
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	run, err := os.MkdirTemp("", "apiserver")
	must(t, err)
	s := &system{t: t, dir: dir, authority: authority, addr: listener.Addr().String()}
	s.clientset = sync.OnceValue(s.newAdmin)
	s.store = etcd.New(etcd.Config{Dir: filepath.Join(dir, "etcd"), SocketDir: run, Wall: clock.Real(), Log: log})
	config := apiserver.Config{
		Kinds: registry.Kinds(),
		Store: apiserver.StoreConfig{Await: s.store.Await, EncryptionKeyFile: filepath.Join(dir, "encryption", "keys")},
		Serving: apiserver.ServingConfig{
			Listeners:      []net.Listener{listener},
			Advertise:      netip.MustParseAddrPort(s.addr),
			GetCertificate: serving.GetCertificate,
			ClientCAs:      authority.Pool(),
			SwaggerUI:      true,
		},
		Services: apiserver.ServicesConfig{Range: netip.MustParsePrefix("10.96.0.0/16")},
		Tokens:   apiserver.TokensConfig{ExtendExpiration: true, PublicDiscovery: true},
		Keys:     ring(t, boundtoken.ES256),
		Kubelets: apiserver.KubeletsConfig{TLS: &tls.Config{RootCAs: authority.Pool(), GetClientCertificate: kubelet.GetClientCertificate}},
		Version:  apiserver.Version{Program: "0.0.1"},
		Clock:    clock.APIOf(clock.Real()),
		Wall:     clock.Real(),
		Log:      log,
	}
	for _, f := range change {
		f(&config)
	}
	s.server, s.keys = apiserver.New(config), config.Keys
	s.group.Log = log
	s.group.Add(s.store, s.server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(s.group.Stop(ctx), os.RemoveAll(run)); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ring returns keys for one server.
func ring(t *testing.T, algorithm boundtoken.Algorithm) *keys.Ring {
	t.Helper()
	r, err := keys.New(keys.Config{Algorithm: algorithm, Clock: clock.APIOf(clock.Real()), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	must(t, err)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually calls f until it returns nil, at most ten seconds.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// config returns a client configuration with a certificate for the user.
func (s *system) config(user string, groups ...string) *rest.Config {
	s.t.Helper()
	pair, err := s.authority.Pair(pki.Leaf{Name: user, CommonName: user, Organizations: groups, Client: true})
	must(s.t, err)
	cert, key, err := pair.PEM()
	must(s.t, err)
	return &rest.Config{
		Host:            "https://" + s.addr,
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: s.authority.PEM(), CertData: cert, KeyData: key},
	}
}

// admin returns a client with all rights, the same each time.
func (s *system) admin() kubernetes.Interface {
	s.t.Helper()
	return s.clientset()
}

// newAdmin makes such a client, with a certificate and connections of its own.
func (s *system) newAdmin() kubernetes.Interface {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(s.config("admin", "system:masters"))
	must(s.t, err)
	return c
}
