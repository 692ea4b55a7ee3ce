// Package paths finds the handler of a request of an API group.
//
// The library that makes the handlers keeps for each a compiled expression of its path,
// which its router for such paths never asks, and what documents say of it; and it
// compares a request with every path of the group, copying each that fits. There are
// more than a thousand. Here is what it takes to answer as that router does, without the
// rest.
//
// It owns which handler answers and with what a request is refused that none answers.
// Making the handlers is internal/apiserver's, the documents are made of new ones there.
package paths

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	restful "github.com/emicklei/go-restful/v3"
)

// Router is a restful.RouteSelector: it finds what was added to it, and has the library
// find all else. It is filled before it is used.
type Router struct {
	others restful.CurlyRouter
	groups map[string]*group
}

// group is what is served below one root.
type group struct {
	service *restful.WebService
	// paths are in the order in which those that fit a request are preferred.
	paths []path
}

// path is a path with the handlers of its methods.
type path struct {
	template string
	// tokens are the parts between slashes; a parameter is an empty one.
	tokens []string
	// rest is whether the last parameter takes all that follows.
	rest   bool
	fixed  int
	routes []route
}

// route is one handler.
type route struct {
	method             string
	consumes, produces []string
	function           restful.RouteFunction
}

// New returns a router that only knows what the library does.
func New() *Router { return &Router{groups: map[string]*group{}} }

// Take makes the routes of a web service the router's own and returns one without any
// that stands for it in the container: the library knows from it that the root is served.
func (r *Router) Take(made *restful.WebService) *restful.WebService {
	g := &group{service: new(restful.WebService).Path(made.RootPath())}
	at := map[string]int{}
	for _, from := range made.Routes() {
		i, ok := at[from.Path]
		if !ok {
			i = len(g.paths)
			at[from.Path] = i
			g.paths = append(g.paths, newPath(from.Path))
		}
		g.paths[i].routes = append(g.paths[i].routes, route{from.Method, from.Consumes, from.Produces, from.Function})
	}
	slices.SortFunc(g.paths, func(a, b path) int {
		return cmp.Or(cmp.Compare(b.fixed, a.fixed), cmp.Compare(len(b.tokens), len(a.tokens)), cmp.Compare(b.template, a.template))
	})
	r.groups[made.RootPath()] = g
	return g.service
}

func newPath(template string) path {
	p := path{template: template, tokens: tokens(template)}
	for i, token := range p.tokens {
		if !strings.HasPrefix(token, "{") {
			p.fixed++
			continue
		}
		p.rest = strings.HasSuffix(token, ":*}")
		p.tokens[i] = ""
	}
	return p
}

// tokens splits a path as the library does.
func tokens(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// SelectRoute implements restful.RouteSelector.
func (r *Router) SelectRoute(services []*restful.WebService, req *http.Request) (*restful.WebService, *restful.Route, error) {
	asked := tokens(req.URL.Path)
	g := r.groups[rootOf(asked)]
	if g == nil {
		return r.others.SelectRoute(services, req)
	}
	var fitting []*route
	for i := range g.paths {
		if p := &g.paths[i]; p.fits(asked) {
			for j := range p.routes {
				fitting = append(fitting, &p.routes[j])
			}
		}
	}
	chosen, err := choose(fitting, req)
	if err != nil {
		return g.service, nil, err
	}
	return g.service, &restful.Route{Method: chosen.method, Consumes: chosen.consumes, Produces: chosen.produces, Function: chosen.function}, nil
}

// rootOf returns the root of the group-version that a path is of: /api/<version> or
// /apis/<group>/<version>.
func rootOf(asked []string) string {
	switch {
	case asked[0] == "api" && len(asked) >= 2:
		return "/" + strings.Join(asked[:2], "/")
	case asked[0] == "apis" && len(asked) >= 3:
		return "/" + strings.Join(asked[:3], "/")
	}
	return ""
}

// fits tells whether a request's path is one of p.
func (p *path) fits(asked []string) bool {
	if len(asked) != len(p.tokens) && (len(asked) < len(p.tokens) || !p.rest) {
		return false
	}
	for i, token := range p.tokens {
		if token != "" && token != asked[i] {
			return false
		}
	}
	return true
}
