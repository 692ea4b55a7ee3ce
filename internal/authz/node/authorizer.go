package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/authz/rbac"
	"laterna.dev/laterna/internal/clock"
)

const (
	// grace is how long a miss waits for the index before it asks the store.
	grace = 10 * time.Millisecond
	// confirmTimeout bounds one read of the store.
	confirmTimeout = 10 * time.Second
)

// AudienceVerb is the verb by which a node asks for a token for an audience, which stands
// in the place of the resource, of the service account that is named.
const AudienceVerb = "request-serviceaccounts-token-audience"

// Config is what the Node authorizer works with.
type Config struct {
	// Pods is the informer of all pods; New adds a handler to it.
	Pods cache.SharedIndexInformer
	// Client reads pods from the store. It must be allowed to without this
	// authorizer.
	Client kubernetes.Interface
	// Rules are what every node may do with objects that are not its own.
	Rules []rbacv1.PolicyRule
	// Kinds are the kinds to whose objects a node is kept in another way than by Rules.
	Kinds map[schema.GroupResource]Access
	Clock clock.Wall
	// TokenAudiences are those for which every node may ask for tokens of the service
	// accounts of its pods (KEP-4412); those that volumes name need no leave. Optional.
	TokenAudiences []string
}

// Authorizer decides the requests of nodes and has no opinion on others. Its
// methods may be called concurrently.
type Authorizer struct {
	config Config
	index  *references
	reads  reads
}

var (
	_ authorizer.Authorizer   = &Authorizer{}
	_ authorizer.RuleResolver = &Authorizer{}
)

// New returns an authorizer whose index fills when the informer of pods runs.
func New(c Config) (*Authorizer, error) {
	a := &Authorizer{config: c, index: newReferences(), reads: reads{byNode: map[string]*read{}}}
	if _, err := c.Pods.AddEventHandler(a.index.handler()); err != nil {
		return nil, fmt.Errorf("watching pods for the node authorizer: %w", err)
	}
	return a, nil
}

// verdict is a decision with its reason. An empty reason on a refusal is
// upstream's too.
type verdict struct {
	allow  bool
	reason string
	err    error
}

func refuse(format string, args ...any) verdict { return verdict{reason: fmt.Sprintf(format, args...)} }

var allow = verdict{allow: true}

// Authorize implements authorizer.Authorizer.
func (a *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	name, ok := Name(attrs.GetUser())
	if !ok {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if name == "" {
		return authorizer.DecisionNoOpinion, fmt.Sprintf("unknown node for user %q", attrs.GetUser().GetName()), nil
	}
	v := a.decide(ctx, name, attrs)
	if v.allow {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, v.reason, v.err
}

// ConditionsAwareAuthorize implements authorizer.Authorizer; there are no conditions.
func (a *Authorizer) ConditionsAwareAuthorize(ctx context.Context, attrs authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(a.Authorize(ctx, attrs))
}

// EvaluateConditions implements authorizer.Authorizer; it refuses.
func (a *Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// RulesFor implements authorizer.RuleResolver: what a node may do depends on its
// pods and cannot be listed.
func (a *Authorizer) RulesFor(_ context.Context, u user.Info, _ string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	if _, ok := Name(u); ok {
		return nil, nil, true, errors.New("node authorizer does not support user rule resolution")
	}
	return nil, nil, false, nil
}

func (a *Authorizer) decide(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	if attrs.IsResourceRequest() {
		if attrs.GetVerb() == AudienceVerb && slices.Contains(a.config.TokenAudiences, attrs.GetResource()) {
			return allow
		}
		resource := schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}
		access, known := a.config.Kinds[resource]
		if !known && foreign(resource) {
			return verdict{}
		}
		switch access {
		case Referenced:
			return a.readReferenced(ctx, node, attrs)
		case Accounts:
			return a.serviceAccount(ctx, node, attrs)
		case Itself:
			return nodeObject(node, attrs)
		case OwnPods:
			return a.pod(ctx, node, attrs)
		case OwnLease:
			return lease(node, attrs)
		case OwnCSINode:
			return csiNode(node, attrs)
		case OwnRequests:
			return podCertificate(node, attrs)
		case Claimed, Bound, OwnAttachments:
			return a.getOne(ctx, node, access, attrs)
		case OwnSlices:
			return a.slice(ctx, node, attrs)
		case NamedAfterOwnPods:
			return a.podProjection(ctx, node, attrs)
		}
	}
	if rbac.RulesAllow(attrs, a.config.Rules) {
		return allow
	}
	return verdict{}
}

// readReferenced allows to get, list and watch one object by name.
func (a *Authorizer) readReferenced(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	switch attrs.GetVerb() {
	case "get", "list", "watch":
	default:
		return refuse("can only read resources of this type")
	}
	if attrs.GetSubresource() != "" {
		return refuse("cannot read subresource")
	}
	if attrs.GetNamespace() == "" {
		return refuse("can only read namespaced object of this type")
	}
	return a.referenced(ctx, node, attrs.GetResource(), attrs)
}

func (a *Authorizer) serviceAccount(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	switch attrs.GetVerb() {
	case "get", "list", "watch":
		// Upstream lets a node get them. Ours also follows them: an account that is made
		// anew makes the tokens of its pods invalid.
		if attrs.GetSubresource() == "" && attrs.GetName() != "" {
			return a.readReferenced(ctx, node, attrs)
		}
	}
	if attrs.GetVerb() != "create" || attrs.GetName() == "" {
		return refuse("can only create tokens for individual service accounts")
	}
	if attrs.GetSubresource() != "token" {
		return refuse("can only create token subresource of serviceaccount")
	}
	return a.referenced(ctx, node, serviceAccountKind, attrs)
}

func (a *Authorizer) pod(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	verb := attrs.GetVerb()
	switch attrs.GetSubresource() {
	case "":
		switch verb {
		case "get":
			return a.referenced(ctx, node, podKind, attrs)
		case "list", "watch":
			if selects(attrs, "spec.nodeName", node) {
				return allow
			}
			if attrs.GetName() != "" {
				return a.referenced(ctx, node, podKind, attrs)
			}
			return refuse("can only list/watch pods with spec.nodeName field selector")
		case "create", "delete":
			return allow // mirror pods; admission has the rest
		}
	case "status":
		if verb == "update" || verb == "patch" {
			return allow
		}
	case "eviction":
		if verb == "create" {
			return allow
		}
	}
	return verdict{}
}

// podProjection allows a node to read and write what it says about its own pods: the
// object has its pod's name.
func (a *Authorizer) podProjection(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	switch attrs.GetVerb() {
	case "create":
		return allow // the name of a new object is not known here; admission checks it
	case "get", "update", "patch", "delete":
		return a.referenced(ctx, node, podKind, attrs)
	}
	return refuse("can only get, create, update, patch, or delete individual pod projections")
}

// podCertificate allows a node to ask for certificates of its pods, and to list and watch
// what it asked for. Upstream lets it get them one by one, too, by an index of all requests,
// which no agent uses.
func podCertificate(node string, attrs authorizer.Attributes) verdict {
	if attrs.GetSubresource() != "" {
		return refuse("cannot access subresource")
	}
	switch attrs.GetVerb() {
	case "create":
		return allow // admission checks for what
	case "list", "watch":
		if selects(attrs, "spec.nodeName", node) {
			return allow
		}
	}
	return refuse("can only create podcertificaterequests, and list/watch them with spec.nodeName field selector")
}

func nodeObject(node string, attrs authorizer.Attributes) verdict {
	verb := attrs.GetVerb()
	switch attrs.GetSubresource() {
	case "":
		switch verb {
		case "create", "update", "patch":
			return allow // of its own; admission checks
		case "get", "list", "watch":
			switch attrs.GetName() {
			case node:
				return allow
			case "":
				return refuse("node '%s' cannot read all nodes, only its own Node object", node)
			}
			return refuse("node '%s' cannot read '%s', only its own Node object", node, attrs.GetName())
		}
	case "status":
		if verb == "update" || verb == "patch" {
			return allow
		}
	}
	return verdict{}
}

func lease(node string, attrs authorizer.Attributes) verdict {
	verb := attrs.GetVerb()
	if !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, verb) {
		return refuse("can only get, create, update, patch, or delete a node lease")
	}
	if attrs.GetNamespace() != corev1.NamespaceNodeLease {
		return refuse("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	}
	// The name of a new object is not known here; admission checks it.
	if verb != "create" && attrs.GetName() != node {
		return refuse("can only access node lease with the same name as the requesting node")
	}
	return allow
}

func csiNode(node string, attrs authorizer.Attributes) verdict {
	verb := attrs.GetVerb()
	if !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, verb) {
		return refuse("can only get, create, update, patch, or delete a CSINode")
	}
	if attrs.GetSubresource() != "" {
		return refuse("cannot authorize CSINode subresources")
	}
	// The name of a new object is not known here; admission checks it.
	if verb != "create" && attrs.GetName() != node {
		return refuse("can only access CSINode with the same name as the requesting node")
	}
	return allow
}

// referenced allows what pods of the node refer to.
func (a *Authorizer) referenced(ctx context.Context, node, kind string, attrs authorizer.Attributes) verdict {
	if attrs.GetName() == "" {
		return refuse("No Object name found")
	}
	return a.related(ctx, node, reference{kind, attrs.GetNamespace(), attrs.GetName()})
}

// related allows what belongs to an object that pods of the node refer to.
func (a *Authorizer) related(ctx context.Context, node string, r reference) verdict {
	if a.await(ctx, node, r) {
		return allow
	}
	ok, err := a.confirm(ctx, node, r)
	if err != nil {
		return verdict{err: err}
	}
	return related(node, ok, nil)
}

// await reports whether the index has the reference, now or within grace.
func (a *Authorizer) await(ctx context.Context, node string, r reference) bool {
	ok, changed := a.index.has(node, r)
	if ok {
		return true
	}
	timer := a.config.Clock.NewTimer(grace)
	defer timer.Stop()
	for {
		select {
		case <-changed:
			if ok, changed = a.index.has(node, r); ok {
				return true
			}
		case <-timer.C():
			return false
		case <-ctx.Done():
			return false
		}
	}
}
