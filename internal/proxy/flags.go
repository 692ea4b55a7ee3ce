package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/proxy"
)

// The defaults of kubectl proxy.
const (
	defaultAddress      = "127.0.0.1"
	defaultPort         = 8001
	defaultAPIPrefix    = "/"
	defaultStaticPrefix = "/static/"
)

// Flags are those of kubectl proxy.
type Flags struct {
	config  Config
	address string
	port    int
	socket  string
}

// Bind defines the flags.
func (f *Flags) Bind(fs *pflag.FlagSet) {
	c := &f.config
	fs.IntVarP(&f.port, "port", "p", defaultPort, "`PORT` to serve on; 0: a free one")
	fs.StringVar(&f.address, "address", defaultAddress, "IP `ADDRESS` to serve on, of this machine alone")
	fs.StringVarP(&f.socket, "unix-socket", "u", "", "`PATH` of a unix socket to serve on instead")
	fs.StringVar(&c.APIPrefix, "api-prefix", defaultAPIPrefix, "`PREFIX` to serve the API under")
	fs.StringVarP(&c.StaticDir, "www", "w", "", "`DIR` of static files to serve, too")
	fs.StringVarP(&c.StaticPrefix, "www-prefix", "P", defaultStaticPrefix, "`PREFIX` to serve static files under")
	fs.StringVar(&c.AcceptPaths, "accept-paths", proxy.DefaultPathAcceptRE, "`REGEXPS`, separated by commas, of paths to accept")
	fs.StringVar(&c.RejectPaths, "reject-paths", proxy.DefaultPathRejectRE, "`REGEXPS` of paths to reject even if they are accepted")
	fs.StringVar(&c.AcceptHosts, "accept-hosts", proxy.DefaultHostAcceptRE, "`REGEXPS` of hosts, as clients name them, to accept")
	fs.StringVar(&c.RejectMethods, "reject-methods", proxy.DefaultMethodRejectRE, "`REGEXPS` of HTTP methods to reject (example: POST,PUT,PATCH)")
	fs.BoolVar(&c.DisableFilter, "disable-filter", false, "accept every request; pages of any site can then act through your browser")
	fs.DurationVar(&c.Keepalive, "keepalive", 0, "`PERIOD` of keep-alive probes on active connections; 0s: the system's")
	fs.BoolVar(&c.AppendServerPath, "append-server-path", false, "put the path of the API's address before that of each request")
}

// Check returns what is wrong with the flags together.
func (f *Flags) Check() error {
	if f.port != defaultPort && f.socket != "" {
		return errors.New("cannot set --unix-socket and --port at the same time")
	}
	return nil
}

// Run serves an API as the flags say until ctx ends. It prints where to out, and to warn
// what kubectl proxy warns of.
func (f *Flags) Run(ctx context.Context, api *rest.Config, out, warn io.Writer) error {
	f.config.API = api
	if f.config.AcceptHosts == proxy.DefaultHostAcceptRE {
		// Its pattern for ::1 has brackets, which the filter has taken off.
		f.config.AcceptHosts += ",^::1$,^" + regexp.QuoteMeta(strings.Trim(f.address, "[]")) + "$"
	}
	for _, warning := range f.config.warnings(f.socket != "") {
		fmt.Fprintln(warn, "laterna:", warning)
	}
	handler, err := New(f.config)
	if err != nil {
		return err
	}
	listener, err := f.listen()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Starting to serve on %s\n", listener.Addr())
	return Serve(ctx, listener, handler)
}

func (f *Flags) listen() (*Listener, error) {
	if f.socket != "" {
		return ListenUnix(f.socket)
	}
	return Listen(f.address, f.port)
}
