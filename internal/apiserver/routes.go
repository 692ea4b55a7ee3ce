package apiserver

import (
	"net/http"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/server/mux"

	"laterna.dev/laterna/internal/apiserver/awsapis"
	"laterna.dev/laterna/internal/apiserver/fairness"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/encryption"
	"laterna.dev/laterna/internal/etcd/damaged"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/webui"
	"laterna.dev/laterna/internal/webui/projections"
)

// reach is whom a route answers by the default roles; other roles may name its path.
type reach int

const (
	// administrators only.
	administrators reach = iota
	// monitors are administrators and group system:monitoring.
	monitors
	// authenticated are all who have credentials.
	authenticated
	// public is everybody; see TokensConfig.PublicDiscovery for the issuers' documents.
	public
)

// route is a path that is answered outside the API groups. Every request has passed the
// chain: it is authenticated, without credentials as system:anonymous, and its path is
// authorized as a nonResourceURL, but for paths that look like those of a resource.
type route struct {
	// path is answered; with a slash at its end also what is below it.
	path string
	to   reach
	// handler answers; nil where the library does.
	handler http.Handler
}

// routes are all paths outside the API groups. Documents of issuers with paths or hosts
// of their own reach the same routes, see issuer.Set.Route.
func (s *Server) routes() []route {
	return slices.Concat(s.ownRoutes(), s.pages(), libraryRoutes())
}

// ownRoutes are those that programs ask for.
func (s *Server) ownRoutes() []route {
	encrypt := s.keeper.Handler()
	return []route{
		{issuer.DiscoveryPath, public, s.tokens.Issuers.DiscoveryHandler()},
		{issuer.JWKSPath, public, s.tokens.Issuers.JWKSHandler()},
		{issuer.ListingPath, administrators, s.tokens.Issuers.ListingHandler()},
		{encryption.Path, administrators, encrypt},
		{encryption.Path + "/", administrators, encrypt},
		{strings.TrimSuffix(awsapis.Path, "/"), public, s.aws},
		{awsapis.Path, public, s.aws},
		{explain.Path, administrators, s.aws.Explain},
		{explain.Path + "/", administrators, s.aws.Explain},
		{awsapis.FaultsPath, administrators, http.HandlerFunc(s.aws.ServeFaults)},
		{damaged.Path, administrators, &s.backend.damaged},
		{fairness.Path, administrators, s.fairness.Handler()},
		{"/apis/", authenticated, s.custom},
		{"/swagger.json", authenticated, swaggerJSON(s.generic.Handler.NonGoRestfulMux)},
		{"/swaggerapi", authenticated, http.HandlerFunc(swaggerAPI)},
	}
}

// pages are what people look at with a browser.
func (s *Server) pages() []route {
	inspector := projections.New(projections.Config{Clock: s.config.Clock, Wall: s.config.Wall})
	pages := []route{{projections.Path, authenticated, inspector}, {projections.Path + "/", authenticated, inspector}}
	if s.config.Serving.SwaggerUI {
		ui := webui.Swagger()
		pages = append(pages, route{strings.TrimSuffix(webui.SwaggerPath, "/"), authenticated, ui}, route{webui.SwaggerPath, authenticated, ui})
	}
	return pages
}

// libraryRoutes are those that the library answers.
func libraryRoutes() []route {
	return []route{
		{"/", administrators, nil},
		{"/healthz", public, nil},
		{"/healthz/", monitors, nil},
		{"/livez", public, nil},
		{"/livez/", monitors, nil},
		{"/readyz", public, nil},
		{"/readyz/", monitors, nil},
		{"/version/", public, nil},
		{"/api", authenticated, nil},
		{"/apis", authenticated, nil},
		{"/openapi/v2", authenticated, nil},
		{"/openapi/v3", authenticated, nil},
		{"/openapi/v3/", authenticated, nil},
		{"/metrics", monitors, nil},
		{"/metrics/slis", monitors, nil},
		{"/statusz", administrators, nil},
		{"/debug/pprof", administrators, nil},
		{"/debug/pprof/", administrators, nil},
		{"/debug/flags/v", administrators, nil},
	}
}

// mount lets m answer the routes that are the server's own. Of other paths it says that
// they are not there, and not, as the library would, which are.
func mount(m *mux.PathRecorderMux, routes []route) {
	m.NotFoundHandler(http.NotFoundHandler())
	for _, r := range routes {
		switch {
		case r.handler == nil:
		case r.path[len(r.path)-1] == '/':
			m.HandlePrefix(r.path, r.handler)
		default:
			m.Handle(r.path, r.handler)
		}
	}
}
