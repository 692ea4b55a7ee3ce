package apiserver

import (
	"fmt"
	"slices"
	"time"

	restful "github.com/emicklei/go-restful/v3"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericserver "k8s.io/apiserver/pkg/server"

	"laterna.dev/laterna/internal/apiserver/documents"
	"laterna.dev/laterna/internal/apiserver/paths"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/apiregistration/apiservice"
	"laterna.dev/laterna/internal/registry/scheme"
)

// installer serves group-versions. Unlike the library's own InstallAPIGroup it does not
// build the OpenAPI models, which take longer than all the rest and are not needed before
// the first write: types builds them when asked.
type installer struct {
	server *genericserver.GenericAPIServer
	config *genericserver.Config
	scheme *scheme.Scheme
	types  managedfields.TypeConverter
	router *paths.Router
}

// install serves a group-version.
func (i *installer) install(g registry.GroupStorages) error {
	made, resources, err := i.make(g, i.server.EquivalentResourceRegistry)
	if err != nil {
		return err
	}
	i.server.Handler.GoRestfulContainer.Add(i.router.Take(made))
	addDiscovery(i.server, i.config, g, resources)
	return nil
}

// described makes the web service of a group-version once more, for documents: the router
// keeps nothing of what they say.
func (i *installer) described(g registry.GroupStorages) (*restful.WebService, error) {
	made, _, err := i.make(g, runtime.NewEquivalentResourceRegistry())
	return made, err
}

// make makes the handlers of a group-version, and tells equivalent of its resources.
func (i *installer) make(g registry.GroupStorages, equivalent runtime.EquivalentResourceRegistry) (*restful.WebService, []apidiscoveryv2.APIResourceDiscovery, error) {
	served := map[string][]string{}
	for resource := range g.ByPath {
		served[resource] = []string{g.Version.String()}
	}
	sch := i.scheme
	v := &genericapi.APIGroupVersion{
		Storage:                     g.ByPath,
		Root:                        documents.RootOf(g.Version.Group),
		GroupVersion:                g.Version,
		AllServedVersionsByResource: served,
		OptionsExternalVersion:      &schema.GroupVersion{Version: "v1"},
		ParameterCodec:              sch.Parameters,
		Serializer:                  sch.Serializer(g.Version.Group),
		Creater:                     sch,
		Convertor:                   sch,
		ConvertabilityChecker:       sch,
		UnsafeConvertor:             runtime.UnsafeObjectConvertor(sch.Scheme),
		Defaulter:                   sch,
		Typer:                       sch,
		Namer:                       runtime.Namer(meta.NewAccessor()),
		EquivalentResourceRegistry:  equivalent,
		TypeConverter:               i.types,
		Authorizer:                  i.server.Authorizer,
		Admit:                       i.config.AdmissionControl,
		MinRequestTimeout:           time.Duration(i.config.MinRequestTimeout) * time.Second,
		MaxRequestBodyBytes:         i.config.MaxRequestBodyBytes,
	}
	alone := restful.NewContainer()
	resources, _, err := v.InstallREST(alone)
	if err != nil {
		return nil, nil, fmt.Errorf("serving %s: %w", g.Version, err)
	}
	return alone.RegisteredWebServices()[0], resources, nil
}

// addDiscovery lists a group-version under /api or /apis, in the newer format; core in both.
func addDiscovery(s *genericserver.GenericAPIServer, c *genericserver.Config, g registry.GroupStorages, resources []apidiscoveryv2.APIResourceDiscovery) {
	doc := apidiscoveryv2.APIVersionDiscovery{
		Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
		Version:   g.Version.Version,
		Resources: resources,
	}
	if g.Version.Group == "" {
		manager := s.AggregatedLegacyDiscoveryGroupManager
		manager.AddGroupVersion("", doc)
		legacy := discovery.NewLegacyRootAPIHandler(c.DiscoveryAddresses, s.Serializer, documents.RootOf(g.Version.Group))
		both := aggregated.WrapAggregatedDiscoveryToHandler(legacy, manager, manager)
		s.Handler.GoRestfulContainer.Add(both.GenerateWebService(documents.RootOf(g.Version.Group), metav1.APIVersions{}))
		return
	}
	priority := apiservice.PriorityOf(g.Version)
	s.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(g.Version), int(priority.Group), int(priority.Version))
	s.AggregatedDiscoveryGroupManager.AddGroupVersion(g.Version.Group, doc)
}

// addGroups lists the groups under /apis in the older format. The first of the versions of a
// group is the one that clients take.
func addGroups(s *genericserver.GenericAPIServer, all []registry.GroupStorages) {
	var groups []metav1.APIGroup
	for _, g := range all {
		if g.Version.Group == "" {
			continue
		}
		version := metav1.GroupVersionForDiscovery{GroupVersion: g.Version.String(), Version: g.Version.Version}
		i := slices.IndexFunc(groups, func(one metav1.APIGroup) bool { return one.Name == g.Version.Group })
		if i >= 0 {
			groups[i].Versions = append(groups[i].Versions, version)
			continue
		}
		groups = append(groups, metav1.APIGroup{Name: g.Version.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
	}
	for _, group := range groups {
		s.DiscoveryGroupManager.AddGroup(group)
		s.Handler.GoRestfulContainer.Add(discovery.NewAPIGroupHandler(s.Serializer, group).WebService())
	}
}
