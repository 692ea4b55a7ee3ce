package paths

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	restful "github.com/emicklei/go-restful/v3"
)

var (
	structured = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
	patches    = []string{"application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"}
)

// templates are paths like those of an API group, and the methods of each.
var templates = map[string]string{
	"/":                                   "GET",
	"/pods":                               "GET",
	"/namespaces":                         "GET POST DELETE",
	"/namespaces/{name}":                  "GET PUT PATCH DELETE",
	"/namespaces/{name}/status":           "GET PUT PATCH",
	"/namespaces/{name}/finalize":         "PUT",
	"/namespaces/{namespace}/pods":        "GET POST DELETE",
	"/namespaces/{namespace}/pods/{name}": "GET PUT PATCH DELETE",
	"/namespaces/{namespace}/pods/{name}/log":                "GET",
	"/namespaces/{namespace}/pods/{name}/exec":               "GET POST",
	"/namespaces/{namespace}/services/{name}/proxy":          "GET PUT POST DELETE HEAD OPTIONS PATCH",
	"/namespaces/{namespace}/services/{name}/proxy/{path:*}": "GET PUT POST DELETE HEAD OPTIONS PATCH",
	"/nodes/{name}":                             "GET PUT PATCH DELETE",
	"/nodes/{name}/status":                      "GET PUT PATCH",
	"/watch/pods":                               "GET",
	"/watch/namespaces/{namespace}/pods":        "GET",
	"/watch/namespaces/{namespace}/pods/{name}": "GET",
	"/{odd}/{even}":                             "GET POST", // fits what others fit, too
}

// service is a web service with the templates below a root. Each handler answers with its
// method and path.
func service(root string) *restful.WebService {
	ws := new(restful.WebService).Path(root).Consumes("*/*").Produces(structured...)
	for template, methods := range templates {
		for method := range strings.FieldsSeq(methods) {
			b := ws.Method(method).Path(template).To(func(_ *restful.Request, resp *restful.Response) {
				resp.Header().Set("By", method+" "+template)
			})
			switch {
			case method == "PATCH" && !strings.Contains(template, "proxy"):
				b.Consumes(patches...)
			case strings.HasSuffix(template, "/log"):
				b.Produces(append([]string{"text/plain"}, structured...)...)
			case strings.Contains(template, "proxy") || strings.HasSuffix(template, "/exec"):
				b.Produces("*/*")
			}
			ws.Route(b)
		}
	}
	return ws
}

// answer is what a container makes of a request: the handler, or the refusal.
type answer struct {
	by     string
	status int
	text   string
	allow  map[string]bool
}

func answered(c *restful.Container, method, path string, header http.Header) (a answer) {
	c.ServiceErrorHandler(func(e restful.ServiceError, _ *restful.Request, _ *restful.Response) {
		a.status, a.text = e.Code, e.Message
		for m := range strings.SplitSeq(e.Header.Get("Allow"), ", ") {
			if a.allow == nil {
				a.allow = map[string]bool{}
			}
			a.allow[m] = true
		}
	})
	req := httptest.NewRequest(method, path, nil)
	req.Header = header
	w := httptest.NewRecorder()
	c.Dispatch(w, req)
	a.by = w.Header().Get("By")
	return a
}

// TestRouterAnswersAsTheLibrarys asks both for everything.
func TestRouterAnswersAsTheLibrarys(t *testing.T) {
	theirs, ours := restful.NewContainer(), restful.NewContainer()
	theirs.Router(restful.CurlyRouter{})
	router := New()
	ours.Router(router)
	for _, root := range []string{"/api/v1", "/apis/apps/v1"} {
		theirs.Add(service(root))
		ours.Add(router.Take(service(root)))
	}
	for _, root := range []string{"/api", "/apis", "/apis/apps", "/version"} {
		for _, c := range []*restful.Container{theirs, ours} {
			ws := new(restful.WebService).Path(root).Produces(structured...)
			c.Add(ws.Route(ws.GET("/").To(func(_ *restful.Request, resp *restful.Response) { resp.Header().Set("By", root) })))
		}
	}
	paths := []string{"/", "/api", "/api/", "/apis", "/apis/apps", "/apis/apps/", "/apis/other", "/apis/other/v1/pods", "/api/v2/pods", "/version", "/version/x", "//api/v1/pods", "/api//v1/pods", "/other"}
	for template := range templates {
		for _, value := range []string{"x", "pods", "namespaces", "status", "{name}"} {
			path := template
			for _, parameter := range []string{"{name}", "{namespace}", "{odd}", "{even}", "{path:*}"} {
				path = strings.ReplaceAll(path, parameter, value)
			}
			for _, root := range []string{"/api/v1", "/apis/apps/v1"} {
				paths = append(paths, root+path)
			}
			paths = append(paths, "/api/v1"+path+"/", "/api/v1"+path+"/more", "/api/v1"+path+"/more//than/that", "/api/v1/"+path)
		}
	}
	headers := []http.Header{
		{}, {"Accept": {"application/json"}}, {"Accept": {"text/html, */*;q=0.8"}}, {"Accept": {"text/plain"}}, {"Accept": {" application/yaml ;q=1,x"}}, {"Accept": {"image/png"}}, {"Accept": {","}},
		{"Content-Type": {"application/json"}}, {"Content-Type": {"application/merge-patch+json; charset=utf-8"}}, {"Content-Type": {"a/b, application/json-patch+json"}}, {"Content-Type": {"a/b"}}, {"Content-Type": {"application/apply-patch+yaml"}, "Accept": {"image/png,application/json;as=Table"}},
	}
	n, found := 0, map[string]bool{}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"} {
			for _, h := range headers {
				want, got := answered(theirs, method, path, h), answered(ours, method, path, h)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s %s %v: %+v, the library %+v", method, path, h, got, want)
				}
				n++
				found[got.by] = true
			}
		}
	}
	for template, methods := range templates {
		for method := range strings.FieldsSeq(methods) {
			if !found[method+" "+template] {
				t.Errorf("%s %s was never asked", method, template)
			}
		}
	}
	t.Logf("%d requests, %d handlers", n, len(found))
}

func TestServiceOfTheContainerHasNoRoutes(t *testing.T) {
	router := New()
	if ws := router.Take(service("/api/v1")); ws.RootPath() != "/api/v1" || len(ws.Routes()) != 0 {
		t.Errorf("%s has %d routes", ws.RootPath(), len(ws.Routes()))
	}
	_, _, err := router.SelectRoute(nil, httptest.NewRequest("GET", "/apis/apps/v1/x", nil))
	var refused restful.ServiceError
	if !errors.As(err, &refused) || refused.Code != http.StatusNotFound {
		t.Errorf("what was not added: %v", err)
	}
}

func BenchmarkSelect(b *testing.B) {
	theirs := service("/api/v1")
	router := New()
	router.Take(service("/api/v1"))
	req := httptest.NewRequest("GET", "/api/v1/namespaces/x/pods/y", nil)
	for name, selector := range map[string]restful.RouteSelector{"ours": router, "library": restful.CurlyRouter{}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := selector.SelectRoute([]*restful.WebService{theirs}, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
