package compat

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// checked adds rules of CEL to a schema: pairs of an expression and its message.
func checked(schema m, rules ...string) m {
	var all []m
	for i := 0; i < len(rules); i += 2 {
		all = append(all, m{"rule": rules[i], "message": rules[i+1]})
	}
	schema["x-kubernetes-validations"] = all
	return schema
}

// chosen is text out of some.
func chosen(of ...string) m { return m{"type": "string", "enum": of, "description": words(6)} }

// atMost is a list of at most n.
func atMost(n int, schema m) m { schema["maxItems"] = n; return schema }

// pairsSchema are names with values, by name.
func pairsSchema() m {
	return atMost(16, listSchema(recordSchema([]string{"name", "value"}, m{"type": chosen("Exact", "RegularExpression"),
		"name":  m{"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$", "description": words(6)},
		"value": m{"type": "string", "minLength": 1, "maxLength": 4096, "description": words(3)}}), "name"))
}

// objectSchema refers to who gets the requests.
func objectSchema() m {
	return checked(recordSchema([]string{"name"}, m{"name": m{"type": "string", "minLength": 1, "maxLength": 253, "description": words(3)},
		"group":     m{"type": "string", "default": "", "maxLength": 253, "description": words(6)},
		"kind":      m{"type": "string", "default": "Service", "minLength": 1, "maxLength": 63, "description": words(6)},
		"namespace": m{"type": "string", "minLength": 1, "maxLength": 63, "description": words(6)},
		"port":      m{"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535, "description": words(6)}}),
		"(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true", "a Service is reached at a port")
}

// pathSchema changes the path of a request.
func pathSchema() m {
	return checked(recordSchema([]string{"type"}, m{"type": chosen("ReplaceFullPath", "ReplacePrefixMatch"),
		"replaceFullPath": m{"type": "string", "maxLength": 1024, "description": words(6)}, "replacePrefixMatch": m{"type": "string", "maxLength": 1024, "description": words(6)}}),
		"self.type == 'ReplaceFullPath' ? has(self.replaceFullPath) : true", "replaceFullPath is needed by its type",
		"has(self.replaceFullPath) ? self.type == 'ReplaceFullPath' : true", "replaceFullPath is of another type",
		"self.type == 'ReplacePrefixMatch' ? has(self.replacePrefixMatch) : true", "replacePrefixMatch is needed by its type")
}

// filtersSchema are what requests pass, in a list of one kind each.
func filtersSchema() m {
	headers := func() m {
		return recordSchema(nil, m{"set": pairsSchema(), "add": pairsSchema(), "remove": atMost(16, listSchema(m{"type": "string"}))})
	}
	kinds := m{
		"requestHeaderModifier": headers(), "responseHeaderModifier": headers(),
		"requestRedirect": recordSchema(nil, m{"scheme": chosen("http", "https"), "hostname": m{"type": "string", "maxLength": 253, "description": words(6)}, "path": pathSchema(),
			"port": m{"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535, "description": words(6)}, "statusCode": m{"type": "integer", "enum": []int{301, 302, 303, 307, 308}, "default": 302}}),
		"urlRewrite": recordSchema(nil, m{"hostname": m{"type": "string", "maxLength": 253, "description": words(3)}, "path": pathSchema()}),
		"requestMirror": checked(recordSchema([]string{"backendRef"}, m{"backendRef": objectSchema(), "percent": m{"type": "integer", "minimum": 0, "maximum": 100},
			"fraction": checked(recordSchema([]string{"numerator"}, m{"numerator": m{"type": "integer", "minimum": 0}, "denominator": m{"type": "integer", "default": 100, "minimum": 1}}),
				"self.numerator <= self.denominator", "a fraction is one at most")}),
			"!(has(self.percent) && has(self.fraction))", "percent or fraction, not both"),
		"cors": recordSchema(nil, m{"allowCredentials": flagSchema(), "allowHeaders": atMost(64, listSchema(m{"type": "string"})), "allowMethods": atMost(9, listSchema(chosen("GET", "HEAD", "POST", "PUT", "DELETE", "*"))),
			"allowOrigins": atMost(64, listSchema(m{"type": "string", "minLength": 1, "maxLength": 253})), "exposeHeaders": atMost(64, listSchema(m{"type": "string"})), "maxAge": m{"type": "integer", "default": 5, "minimum": 1}}),
		"extensionRef": recordSchema([]string{"group", "kind", "name"}, textSchemas("group", "kind", "name")),
	}
	types, rules := []string{}, []string{}
	for _, pair := range [][2]string{{"requestHeaderModifier", "RequestHeaderModifier"}, {"responseHeaderModifier", "ResponseHeaderModifier"}, {"requestMirror", "RequestMirror"},
		{"requestRedirect", "RequestRedirect"}, {"urlRewrite", "URLRewrite"}, {"cors", "CORS"}, {"extensionRef", "ExtensionRef"}} {
		types = append(types, pair[1])
		rules = append(rules, "!(has(self."+pair[0]+") && self.type != '"+pair[1]+"')", "filter."+pair[0]+" must be nil if the filter.type is not "+pair[1],
			"!(!has(self."+pair[0]+") && self.type == '"+pair[1]+"')", "filter."+pair[0]+" must be specified for "+pair[1]+" filter.type")
	}
	kinds["type"] = chosen(types...)
	return checked(atMost(16, listSchema(checked(recordSchema([]string{"type"}, kinds), rules...))),
		"!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))", "requests are redirected or rewritten, not both",
		"self.filter(f, f.type == 'RequestHeaderModifier').size() <= 1", "headers are changed once",
		"self.filter(f, f.type == 'RequestRedirect').size() <= 1", "requests are redirected once")
}

// matchSchema says which requests a rule is for.
func matchSchema() m {
	path := recordSchema(nil, m{"type": m{"type": "string", "enum": []string{"Exact", "PathPrefix", "RegularExpression"}, "default": "PathPrefix", "description": words(6)},
		"value": m{"type": "string", "maxLength": 1024, "default": "/", "description": words(3)}})
	path["default"] = m{"type": "PathPrefix", "value": "/"}
	const literal = "(self.type in ['Exact','PathPrefix']) ? "
	rules := []string{literal + "self.value.startsWith('/') : true", "value must be an absolute path"}
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F", "#"} {
		rules = append(rules, literal+"!self.value.contains('"+part+"') : true", "value must not have "+part)
	}
	rules = append(rules, literal+`self.value.matches(r"""^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$""") : true`, "value has characters that no path has")
	return recordSchema(nil, m{"path": checked(path, rules...), "headers": pairsSchema(), "queryParams": pairsSchema(), "method": chosen("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")})
}

// parentsSchema are what a route belongs to, each once.
func parentsSchema() m {
	parent := recordSchema([]string{"name"}, m{"group": m{"type": "string", "default": "gateway.networking.k8s.io", "maxLength": 253, "description": words(6)},
		"kind": m{"type": "string", "default": "Gateway", "minLength": 1, "maxLength": 63, "description": words(6)}, "namespace": m{"type": "string", "minLength": 1, "maxLength": 63, "description": words(6)},
		"name": m{"type": "string", "minLength": 1, "maxLength": 253, "description": words(3)}, "sectionName": m{"type": "string", "minLength": 1, "maxLength": 253, "description": words(6)},
		"port": m{"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535, "description": words(6)}})
	same := "p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && ((!has(p1.__namespace__) && !has(p2.__namespace__)) || (has(p1.__namespace__) && has(p2.__namespace__) && p1.__namespace__ == p2.__namespace__))"
	return checked(atMost(32, listSchema(parent)),
		"self.all(p1, self.all(p2, ("+same+") ? (has(p1.sectionName) == has(p2.sectionName)) : true))", "a parent that is named twice is named with its sections",
		"self.all(p1, self.exists_one(p2, "+same+" && (has(p1.sectionName) ? has(p2.sectionName) && p1.sectionName == p2.sectionName : !has(p2.sectionName))))", "a section of a parent is named once")
}

// routeSchema is the specification of a route: nested lists with rules of CEL on each level.
func routeSchema() m {
	backend := objectSchema()
	backend["properties"].(m)["weight"] = m{"type": "integer", "format": "int32", "default": 1, "minimum": 0, "maximum": 1000000, "description": words(6)}
	backend["properties"].(m)["filters"] = filtersSchema()
	period := func() m {
		return m{"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$", "description": words(6)}
	}
	matches := atMost(64, listSchema(matchSchema()))
	matches["default"] = []m{{"path": m{"type": "PathPrefix", "value": "/"}}}
	rule := checked(recordSchema(nil, m{"name": m{"type": "string", "minLength": 1, "maxLength": 253, "description": words(3)}, "matches": matches, "filters": filtersSchema(), "backendRefs": atMost(16, listSchema(backend)),
		"timeouts": checked(recordSchema(nil, m{"request": period(), "backendRequest": period()}),
			"!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request))", "the backend has as long as the request at most"),
		"retry": recordSchema(nil, m{"attempts": numberSchema(), "backoff": period(), "codes": atMost(64, listSchema(m{"type": "integer", "minimum": 400, "maximum": 599}))}),
		"sessionPersistence": checked(recordSchema(nil, m{"sessionName": m{"type": "string", "maxLength": 128}, "absoluteTimeout": period(), "idleTimeout": period(), "type": chosen("Cookie", "Header"),
			"cookieConfig": recordSchema(nil, m{"lifetimeType": m{"type": "string", "enum": []string{"Permanent", "Session"}, "default": "Session"}})}),
			"!has(self.cookieConfig) || !has(self.cookieConfig.lifetimeType) || self.cookieConfig.lifetimeType != 'Permanent' || has(self.absoluteTimeout)", "a cookie that stays ends at some time")}),
		"(has(self.backendRefs) && size(self.backendRefs) > 0) ? (!has(self.filters) || self.filters.all(f, !has(f.requestRedirect))): true", "who is redirected reaches no backend",
		"(has(self.filters) && self.filters.exists_one(f, has(f.requestRedirect) && has(f.requestRedirect.path) && f.requestRedirect.path.type == 'ReplacePrefixMatch' && has(f.requestRedirect.path.replacePrefixMatch))) ? ((size(self.matches) != 1 || !has(self.matches[0].path) || self.matches[0].path.type != 'PathPrefix') ? false : true) : true", "a prefix is replaced where exactly one is matched")
	rules := atMost(16, listSchema(rule))
	rules["minItems"] = 1
	var sizes []string
	for i := range 16 {
		sizes = append(sizes, fmt.Sprintf("(self.size() > %d ? self[%d].matches.size() : 0)", i, i))
	}
	return recordSchema(nil, m{"hostnames": atMost(16, listSchema(m{"type": "string", "minLength": 1, "maxLength": 253, "pattern": `^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`})),
		"parentRefs": parentsSchema(), "rules": checked(rules, strings.Join(sizes, " + ")+" <= 128", "a route has at most 128 matches in all its rules",
			"self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))", "Rule name must be unique within the route")})
}

// routes are as an API of gateways defines them, in two versions that are one.
func (d *definer) routes(t testing.TB) *v1.CustomResourceDefinition {
	t.Helper()
	c := d.definition("gateways.example.com", served(t, "v1", schemaOf(t, routeSchema(), routeStatusSchema())), served(t, "v1beta1", schemaOf(t, routeSchema(), routeStatusSchema())))
	for i := range c.Spec.Versions {
		c.Spec.Versions[i].Subresources = &v1.CustomResourceSubresources{Status: &v1.CustomResourceSubresourceStatus{}}
	}
	c.Spec.Versions[1].Deprecated = true
	c.Spec.Names = v1.CustomResourceDefinitionNames{Plural: "webroutes", Singular: "webroute", Kind: "WebRoute", Categories: []string{"gateways"}}
	c.Name = "webroutes.gateways.example.com"
	return c
}

// routeStatusSchema has conditions for each parent.
func routeStatusSchema() m {
	return recordSchema([]string{"parents"}, m{"parents": atMost(32, listSchema(recordSchema([]string{"controllerName", "parentRef"}, m{"controllerName": m{"type": "string", "minLength": 1, "maxLength": 253},
		"parentRef": recordSchema([]string{"name"}, textSchemas("name", "kind", "group", "namespace")), "conditions": conditionsOf()["properties"].(m)["conditions"]})))})
}
