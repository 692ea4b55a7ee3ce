package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/proxy"
)

// Config is what the proxy passes on to whom. Its fields are the flags of kubectl proxy;
// only API and APIPrefix are required.
type Config struct {
	// API is the server that is behind the proxy.
	API *rest.Config
	// APIPrefix is where the API is seen, StaticPrefix where the files of StaticDir are.
	APIPrefix, StaticPrefix, StaticDir string
	// The filter is of regular expressions, separated by commas.
	AcceptHosts, AcceptPaths, RejectPaths, RejectMethods string
	DisableFilter                                        bool
	// Keepalive is that of connections which are upgraded; 0 means Go's.
	Keepalive time.Duration
	// AppendServerPath puts the path of the API's address before each request's.
	AppendServerPath bool
}

// readHeaderTimeout bounds how long a client may take to say what it wants.
const readHeaderTimeout = 30 * time.Second

// New returns the proxy's handler.
func New(c Config) (http.Handler, error) {
	filter, err := c.filter()
	if err != nil {
		return nil, err
	}
	prefix := slashed(c.APIPrefix)
	api, err := proxy.NewProxyHandler(prefix, filter, c.API, c.Keepalive, c.AppendServerPath)
	if err != nil {
		return nil, fmt.Errorf("reaching the API: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(prefix, api)
	if c.StaticDir != "" {
		static := slashed(c.StaticPrefix)
		if static == prefix {
			return nil, fmt.Errorf("--www-prefix and --api-prefix: both are %s", prefix)
		}
		files := http.StripPrefix(static, http.FileServer(http.Dir(c.StaticDir)))
		if filter != nil {
			files = filter.HandlerFor(files)
		}
		mux.Handle(static, files)
	}
	if filter == nil {
		return mux, nil
	}
	return ownPages(mux), nil
}

func slashed(prefix string) string {
	if !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return prefix
}

// filter returns what requests must pass; nil lets all through.
func (c Config) filter() (*proxy.FilterServer, error) {
	if c.DisableFilter {
		return nil, nil
	}
	f := &proxy.FilterServer{}
	for _, part := range []struct {
		flag, text string
		into       *[]*regexp.Regexp
	}{
		{"accept-hosts", c.AcceptHosts, &f.AcceptHosts}, {"accept-paths", c.AcceptPaths, &f.AcceptPaths},
		{"reject-paths", c.RejectPaths, &f.RejectPaths}, {"reject-methods", c.RejectMethods, &f.RejectMethods},
	} {
		var err error
		if *part.into, err = proxy.MakeRegexpArray(part.text); err != nil {
			return nil, fmt.Errorf("--%s: %w", part.flag, err)
		}
	}
	return f, nil
}

// warnings are what kubectl proxy says of the same flags. socket tells whether it serves
// on a unix socket.
func (c Config) warnings(socket bool) (all []string) {
	if c.StaticDir != "" {
		if info, err := os.Stat(c.StaticDir); err != nil {
			all = append(all, fmt.Sprintf("Failed to stat static file directory %s: %v", c.StaticDir, err))
		} else if !info.IsDir() {
			all = append(all, fmt.Sprintf("Static file directory %s is not a directory", c.StaticDir))
		}
	}
	if u, err := url.Parse(c.API.Host); err == nil && !c.AppendServerPath && u.Path != "" && u.Path != "/" {
		all = append(all, fmt.Sprintf("Your kube context contains a server path %s, use --append-server-path to automatically append the path to each request", u.Path))
	}
	switch {
	case c.DisableFilter && !socket:
		all = append(all, "Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious")
	case !c.DisableFilter && (c.RejectPaths == "" || c.RejectMethods == ""):
		all = append(all, "Request filter has been relaxed, your proxy may be vulnerable to attacks, please be cautious")
	}
	return all
}

// Serve answers on a listener, which it closes, until ctx ends.
func Serve(ctx context.Context, l *Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: readHeaderTimeout}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return nil
}
