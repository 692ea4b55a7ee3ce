package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api"
)

const (
	hup    = "- {volumes: [config], container: c, signal: SIGHUP}\n"
	run    = "- {volumes: [config], container: c, exec: [sh, -c, id]}\n"
	ofPods = "/api/v1/namespaces/default/pods"
)

// annotatedPod is a pod with rules, none when they are empty.
func annotatedPod(name, rules string) string {
	annotations := ""
	if rules != "" {
		raw, _ := json.Marshal(rules)
		annotations = fmt.Sprintf(`,"annotations":{%q:%s}`, api.OnUpdate, raw)
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q%s},"spec":{"containers":[{"name":"c","image":"i:1","volumeMounts":[{"name":"config","mountPath":"/c"}]}],"volumes":[{"name":"config","configMap":{"name":"c"}}]}}`, name, annotations)
}

// onUpdateWays are all the ways to write the annotations of a pod. The discovery
// documents are asked whether there are others.
var onUpdateWays = []struct {
	resource, verb, method, suffix, mediaType string
	body                                      func(pod, rules string) string
}{
	{"pods", "update", "PUT", "", "application/json", nil},
	{"pods", "patch", "PATCH", "", "application/merge-patch+json", onlyRules},
	{"pods", "patch", "PATCH", "", "application/strategic-merge-patch+json", onlyRules},
	{"pods", "patch", "PATCH", "", "application/json-patch+json", patchOfRules},
	{"pods", "patch", "PATCH", "?fieldManager=m&force=true", "application/apply-patch+yaml", func(pod, rules string) string { return annotatedPod(pod, rules) }},
	{"pods/status", "update", "PUT", "/status", "application/json", nil},
	{"pods/status", "patch", "PATCH", "/status", "application/merge-patch+json", onlyRules},
	{"pods/status", "patch", "PATCH", "/status", "application/strategic-merge-patch+json", onlyRules},
	{"pods/status", "patch", "PATCH", "/status", "application/json-patch+json", patchOfRules},
	{"pods/status", "patch", "PATCH", "/status?fieldManager=m&force=true", "application/apply-patch+yaml", func(pod, rules string) string {
		return strings.Replace(onlyRules(pod, rules), "{", `{"apiVersion":"v1","kind":"Pod",`, 1)
	}},
	{"pods/binding", "create", "POST", "/binding", "application/json", func(pod, rules string) string {
		return strings.Replace(onlyRules(pod, rules), "{", `{"target":{"kind":"Node","name":"n"},`, 1)
	}},
	{"bindings", "create", "POST", "", "application/json", nil},
}

func onlyRules(pod, rules string) string {
	raw := []byte("null")
	if rules != "" {
		raw, _ = json.Marshal(rules)
	}
	return fmt.Sprintf(`{"metadata":{"name":%q,"annotations":{%q:%s}}}`, pod, api.OnUpdate, raw)
}

// annotations are those of a pod with rules, none when they are empty.
func annotations(rules string) map[string]string {
	if rules == "" {
		return map[string]string{}
	}
	return map[string]string{api.OnUpdate: rules}
}

func patchOfRules(_, rules string) string {
	raw, _ := json.Marshal(annotations(rules))
	return fmt.Sprintf(`[{"op":"add","path":"/metadata/annotations","value":%s}]`, raw)
}

// TestRulesOnUpdateNeedTheRightToExec writes rules in every way, once by somebody who
// may do all with pods but exec, and once by somebody who may exec too.
func TestRulesOnUpdateNeedTheRightToExec(t *testing.T) {
	s := boot(t, t.TempDir())
	admin := s.privileged()
	account := strings.NewReader(`{"metadata":{"name":"default"}}`)
	if code, raw := s.fetch(admin, "POST", "/api/v1/namespaces/default/serviceaccounts", account, "Content-Type", "application/json"); code != http.StatusCreated {
		t.Fatalf("%d %s", code, raw)
	}
	writer := ruleOf("get create update patch", "pods pods/status pods/binding bindings pods/ephemeralcontainers pods/resize")
	for who, rules := range map[string][]rbacv1.PolicyRule{"pat": {writer}, "eve": {writer, ruleOf("create", "pods/exec")}} {
		_, err := s.admin().RbacV1().ClusterRoles().Create(t.Context(), clusterRole(who, rules...), metav1.CreateOptions{})
		must(t, err)
		_, err = s.admin().RbacV1().RoleBindings("default").Create(t.Context(), roleBinding(who, who, who), metav1.CreateOptions{})
		must(t, err)
	}
	clients := map[string]*http.Client{}
	for _, who := range []string{"pat", "eve"} {
		c, err := rest.HTTPClientFor(s.config(who))
		must(t, err)
		clients[who] = c
	}
	s.allWaysAreKnown(t)

	n := 0
	make := func(rules string) string {
		n++
		name := fmt.Sprintf("p%d", n)
		if code, raw := s.fetch(clients["pat"], "POST", ofPods, strings.NewReader(annotatedPod(name, rules)), "Content-Type", "application/json"); code != http.StatusCreated {
			t.Fatalf("whoever creates a pod chooses its rules: %d %s", code, raw)
		}
		return name
	}
	for _, way := range onUpdateWays {
		for _, tc := range []struct {
			name, before, after string
			free                bool // without the right, too
		}{
			{"added", "", run, false},
			{"one more", hup, hup + run, false},
			{"changed", hup, run, false},
			{"in another order", hup + run, run + hup, false},
			{"twice", run, run + run, false},
			{"as it was", hup + run, hup + run, true},
			{"written otherwise", hup + run, "\n" + hup + "# a comment\n" + run, true},
			{"one less", hup + run, hup, true},
			{"none left", run, "", true},
		} {
			if tc.after == "" && (way.verb == "create" || way.mediaType == "application/apply-patch+yaml") {
				continue // a binding adds only; apply takes away only what the manager has set
			}
			for who, client := range clients {
				pod := make(tc.before)
				code, raw := s.writeRules(client, admin, way.method, way.resource, way.suffix, way.mediaType, way.body, pod, tc.after)
				may := tc.free || who == "eve"
				lacks := code == http.StatusForbidden && strings.Contains(status(t, raw).Message, `create resource "pods/exec" in API group "" in the namespace "default"`)
				if may && code >= 300 || !may && !lacks {
					t.Errorf("%s %s (%s), %s, by %s: %d %s", way.method, way.resource, way.mediaType, tc.name, who, code, raw)
				}
			}
		}
	}
	pod := make(hup)
	for _, mediaType := range []string{"application/merge-patch+json", "application/strategic-merge-patch+json"} {
		for _, subresource := range []string{"ephemeralcontainers", "resize"} {
			code, raw := s.fetch(clients["pat"], "PATCH", ofPods+"/"+pod+"/"+subresource, strings.NewReader(onlyRules(pod, run)), "Content-Type", mediaType)
			if code != http.StatusForbidden {
				t.Errorf("rules that come with %s: %d %s", subresource, code, raw)
			}
		}
	}
	pod = make("")
	if code, raw := s.writeRules(clients["eve"], admin, "POST", "pods/binding", "/binding", "application/json", onUpdateWays[10].body, pod, "- {"); code != http.StatusUnprocessableEntity {
		t.Errorf("a binding with rules that are none: %d %s", code, raw)
	}
}

// writeRules writes the rules of a pod in one way.
func (s *system) writeRules(client, admin *http.Client, method, resource, suffix, mediaType string, body func(pod, rules string) string, pod, rules string) (int, []byte) {
	path := ofPods + "/" + pod + suffix
	var text string
	switch {
	case resource == "bindings":
		path = "/api/v1/namespaces/default/bindings"
		raw, _ := json.Marshal(rules)
		text = fmt.Sprintf(`{"metadata":{"name":%q,"annotations":{%q:%s}},"target":{"kind":"Node","name":"n"}}`, pod, api.OnUpdate, raw)
	case body == nil: // the pod as it is, with other annotations
		_, raw := s.fetch(admin, "GET", ofPods+"/"+pod, nil)
		var obj map[string]any
		must(s.t, json.Unmarshal(raw, &obj))
		obj["metadata"].(map[string]any)["annotations"] = annotations(rules)
		raw, err := json.Marshal(obj)
		must(s.t, err)
		text = string(raw)
	default:
		text = body(pod, rules)
	}
	return s.fetch(client, method, path, strings.NewReader(text), "Content-Type", mediaType)
}

// allWaysAreKnown fails when pods can be written in a way that is not tried.
func (s *system) allWaysAreKnown(t *testing.T) {
	t.Helper()
	known := map[string]bool{"pods create": true, "pods/eviction create": true, "pods/exec create": true, "pods/attach create": true, "pods/portforward create": true,
		// What comes with these is for whoever is in the pod.
		"pods/proxy create": true, "pods/proxy update": true, "pods/proxy patch": true,
		// They keep annotations as they are, but do not take those that their writer may not have.
		"pods/ephemeralcontainers update": true, "pods/ephemeralcontainers patch": true, "pods/resize update": true, "pods/resize patch": true}
	for _, way := range onUpdateWays {
		known[way.resource+" "+way.verb] = true
	}
	list, err := s.admin().Discovery().ServerResourcesForGroupVersion("v1")
	must(t, err)
	for _, r := range list.APIResources {
		if r.Name != "bindings" && r.Name != "pods" && !strings.HasPrefix(r.Name, "pods/") {
			continue
		}
		for _, verb := range r.Verbs {
			if (verb == "create" || verb == "update" || verb == "patch") && !known[r.Name+" "+verb] {
				t.Errorf("nobody looks at annotations that come with %s of %s", verb, r.Name)
			}
		}
	}
}
