package server

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/rolloutonchange"
	"laterna.dev/laterna/internal/controller/scheduler"
	"laterna.dev/laterna/internal/controller/tainteviction"
)

// TestControllersDoTheirWorkWithTheirOwnRights has each controller do all that it does,
// and looks into the audit log for who did what: nobody was refused, and nobody has a
// right that it did not use.
func TestControllersDoTheirWorkWithTheirOwnRights(t *testing.T) {
	w := begin(t)
	w.certificates() // requests are of real time, which others hasten
	for name, job := range map[string]func(){
		"namespaces": w.namespaces, "accounts and certificates": w.accounts, "tokens in Secrets": w.legacyTokens,
		"nodes": func() { w.nodes(); w.evictions() }, "pods": w.pods, "workloads": w.deployments, "roles": w.roles, "issuers": w.issuers, "jobs": w.batch,
		"garbage": w.garbage, "budgets": w.budgets, "content": w.content,
		"sets": func() { w.statefulSet(); w.daemonSet() }, "endpoints": w.endpoints, "ranges": w.ranges, "names": w.names, "policies": w.policies, "quotas": w.quotas,
	} {
		t.Log(name)
		job()
	}
	used := w.used()
	for _, right := range w.unused(used) {
		t.Errorf("%s was not used: take it out of the role, or let the controller use it here", right)
	}
	for _, user := range w.controllers.Users() {
		if len(used[user]) == 0 {
			t.Errorf("%s has done nothing", user)
		}
	}
}

// used reads from the audit log what each user did, as "verb resource.group". It fails
// for a request of a controller that was refused.
func (w *world) used() map[string]map[string]bool {
	w.Helper()
	file, err := os.Open(w.log)
	w.must(err)
	defer file.Close()
	all := map[string]map[string]bool{}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all // the last line may not be whole yet
		}
		w.must(err)
		var e struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ObjectRef        struct{ Resource, Subresource, APIGroup string }
			Annotations      map[string]string
		}
		w.must(json.Unmarshal(line, &e))
		if all[e.User.Username] == nil {
			all[e.User.Username] = map[string]bool{}
		}
		all[e.User.Username][right(e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.ObjectRef.Subresource)] = true
		if e.Annotations["authorization.k8s.io/decision"] == "forbid" && slices.Contains(w.controllers.Users(), e.User.Username) {
			w.Errorf("%s may not %s %s", e.User.Username, e.Verb, e.RequestURI)
		}
	}
}

func right(verb, group, resource, subresource string) string {
	if subresource != "" {
		resource += "/" + subresource
	}
	if group != "" {
		resource += "." + group
	}
	return verb + " " + resource
}

// seldom are rights whose use cannot be brought about here, or leaves no line in the log.
var seldom = map[string]string{
	"disruption-controller get */scale.*":                               "is used under the names of resources",
	"disruption-controller get replicasets.apps":                        "for pods of replica sets",
	"generic-garbage-collector list *.*":                                "where a server does not begin a watch with what there is",
	"resourcequota-controller list *.*":                                 "is used under the names of resources",
	"resourcequota-controller watch *.*":                                "is used under the names of resources",
	"namespace-controller delete *.*":                                   "for kinds whose objects must be deleted one by one",
	"certificate-controller approve signers.certificates.k8s.io":        "is asked for within the update",
	"certificate-controller sign signers.certificates.k8s.io":           "is asked for within the update",
	"clusterrole-aggregation-controller escalate clusterroles." + group: "is asked for within the update",
	"tokenissuer-controller get authentications.config.openshift.io":    "when another server has made it in the same moment",
	"tokenissuer-controller get kubeapiservers.operator.openshift.io":   "when another server has made it in the same moment",

	"daemon-set-controller get controllerrevisions.apps":  "where the name of a revision is taken",
	"statefulset-controller get controllerrevisions.apps": "where the name of a revision is taken",

	"daemon-set-controller update daemonsets/finalizers.apps":         "asked for where owners are kept from being held up by others",
	"statefulset-controller update statefulsets/finalizers.apps":      "asked for where owners are kept from being held up by others",
	"deployment-controller update deployments/finalizers.apps":        "asked for where owners are kept from being held up by others",
	"replicaset-controller update replicasets/finalizers.apps":        "asked for where owners are kept from being held up by others",
	"replication-controller update replicationcontrollers/finalizers": "asked for where owners are kept from being held up by others",
}

// recording are rights of every component that records events, of which it uses the one
// to create them.
var recording = []string{"patch events", "update events", "create events.events.k8s.io", "patch events.events.k8s.io", "update events.events.k8s.io"}

const group = rbacv1.GroupName

// unused lists the rights of the controllers' roles that used does not have. A reflector
// lists or watches, as the server lets it: it needs both.
func (w *world) unused(used map[string]map[string]bool) (out []string) {
	w.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	roles, err := w.admin.RbacV1().ClusterRoles().List(w.Context(), metav1.ListOptions{})
	w.must(err)
	for _, r := range roles.Items {
		if name, ok := strings.CutPrefix(r.Name, "system:controller:"); ok {
			rules[name] = append(rules[name], r.Rules...)
		}
	}
	system, err := w.admin.RbacV1().Roles("kube-system").List(w.Context(), metav1.ListOptions{})
	w.must(err)
	for _, r := range system.Items {
		if name, ok := strings.CutPrefix(r.Name, "system:controller:"); ok {
			rules[name] = append(rules[name], r.Rules...)
		}
	}
	for name, rules := range rules {
		did := used[env.ServiceAccount(name)]
		each(rules, func(verb, group, resource string) {
			r := right(verb, group, resource, "")
			if slices.Contains(recording, r) && did["create events"] {
				return
			}
			if seldom[name+" "+r] == "" && !did[r] && !(verb == "list" && did[right("watch", group, resource, "")]) && !(resource == "*" && verbUsed(did, verb)) {
				out = append(out, name+" "+r)
			}
		})
	}
	slices.Sort(out)
	return out
}

func each(rules []rbacv1.PolicyRule, f func(verb, group, resource string)) {
	for _, r := range rules {
		for _, verb := range r.Verbs {
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					f(verb, group, resource)
				}
			}
		}
	}
}

func verbUsed(did map[string]bool, verb string) bool {
	for r := range did {
		if strings.HasPrefix(r, verb+" ") {
			return true
		}
	}
	return false
}

// TestControllersMayNotDoWhatTheyDoNotNeed asks the server of each controller whether it
// may do what none or few of them do.
func TestControllersMayNotDoWhatTheyDoNotNeed(t *testing.T) {
	w := begin(t)
	const emptying, collecting = "namespace-controller", "generic-garbage-collector"
	for what, may := range map[string][]string{
		"get secrets":                                      {collecting, "service-account-token-controller"},
		"list secrets":                                     {collecting, "resourcequota-controller", rolloutonchange.Name, "service-account-token-controller", emptying},
		"create secrets":                                   {"service-account-token-controller"},
		"watch configmaps":                                 {collecting, "resourcequota-controller", rolloutonchange.Name},
		"get configmaps":                                   {collecting},
		"create configmaps":                                {"root-ca-cert-publisher"},
		"create pods":                                      {"daemon-set-controller", "replicaset-controller", "replication-controller", "job-controller", "statefulset-controller"},
		"update pods":                                      {"statefulset-controller"},
		"delete pods":                                      {collecting, "pod-garbage-collector", emptying, "replicaset-controller", "replication-controller", scheduler.User, tainteviction.Name, "job-controller", "daemon-set-controller", "statefulset-controller"},
		"create pods/exec":                                 nil,
		"get pods/log":                                     {collecting},
		"create pods/binding":                              {scheduler.User},
		"patch pods/status":                                {"disruption-controller", collecting, "pod-garbage-collector", scheduler.User, tainteviction.Name},
		"create serviceaccounts":                           {"service-account-controller"},
		"update serviceaccounts":                           {"service-account-token-controller"},
		"create serviceaccounts/token":                     nil,
		"impersonate users":                                nil,
		"impersonate groups":                               nil,
		"impersonate serviceaccounts":                      nil,
		"create nodes":                                     nil,
		"update nodes":                                     {"node-controller"},
		"get nodes/proxy":                                  {collecting},
		"update namespaces":                                nil,
		"update namespaces/finalize":                       {emptying},
		"create clusterrolebindings." + group:              nil,
		"create rolebindings." + group:                     nil,
		"bind clusterroles." + group:                       nil,
		"update clusterroles." + group:                     {"clusterrole-aggregation-controller"},
		"escalate clusterroles." + group:                   {"clusterrole-aggregation-controller"},
		"escalate roles." + group:                          nil,
		"create tokenreviews.authentication.k8s.io":        {scheduler.User},
		"create subjectaccessreviews.authorization.k8s.io": {"certificate-controller", scheduler.User},
		"update certificatesigningrequests/approval.certificates.k8s.io": {"certificate-controller"},
		"update certificatesigningrequests/status.certificates.k8s.io":   {"certificate-controller"},
		"approve signers.certificates.k8s.io":                            nil, // by name alone
		"sign signers.certificates.k8s.io":                               nil,
		"update kubeapiservers/status.operator.openshift.io":             {"tokenissuer-controller"},
		"update authentications.config.openshift.io":                     nil,
		"update podprojections." + v1alpha1.GroupName:                    nil,
		"delete podprojections." + v1alpha1.GroupName:                    {collecting, emptying},
	} {
		var got []string
		for _, user := range w.controllers.Users() {
			if w.allowed(user, what) {
				got = append(got, strings.TrimPrefix(user, env.ServiceAccount("")))
			}
		}
		slices.Sort(may)
		slices.Sort(got)
		if !slices.Equal(got, may) {
			t.Errorf("%s: allowed to %v, want %v", what, got, may)
		}
	}
}

// allowed asks whether a user may do "verb resource[/subresource][.group]" in a
// namespace where nobody has special rights.
func (w *world) allowed(user, what string) bool {
	w.Helper()
	verb, resource, _ := strings.Cut(what, " ")
	resource, group, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: "default", Name: "other"},
	}
	if strings.HasPrefix(user, "system:serviceaccount:") {
		spec.Groups = append(spec.Groups, "system:serviceaccounts", "system:serviceaccounts:kube-system")
	}
	review, err := w.admin.AuthorizationV1().SubjectAccessReviews().Create(w.Context(), &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	w.must(err)
	return review.Status.Allowed
}
