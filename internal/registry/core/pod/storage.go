package pod

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/core/pod/evict"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

// Storage is what serves pods.
type Storage struct {
	// Pods is the storage of the kind itself.
	Pods *resource.Store[*corev1.Pod]
	// ByPath has all of it by path: "pods", "pods/status", "bindings" and so on.
	ByPath map[string]rest.Storage
}

// NewStorage builds the storage of pods and their subresources.
func NewStorage(env resource.Env, kubelets Kubelets, budgets evict.Budgets) (*Storage, error) {
	dial, err := newDialer(kubelets)
	if err != nil {
		return nil, fmt.Errorf("reaching kubelets: %w", err)
	}
	right := onUpdateRight{kubelets.Authorizer}
	kind := Definition()
	kind.Permit = right.check
	pods, err := resource.New(kind, env)
	if err != nil {
		return nil, err
	}
	status := pods.Subresource(statusRules())
	bind := &bindingREST{store: pods.Store, right: right}
	stream := streamREST{pods: pods, dial: dial, authorizer: kubelets.Authorizer}
	return &Storage{
		Pods: pods,
		ByPath: map[string]rest.Storage{
			"pods":                     pods,
			"pods/status":              status,
			"pods/binding":             bind,
			"bindings":                 &bindingsREST{bind},
			"pods/ephemeralcontainers": pods.Subresource(ephemeralRules()),
			"pods/resize":              pods.Subresource(resizeRules()),
			"pods/eviction":            evict.New(evict.Config{Pods: pods, Status: status, SetCondition: setCondition, Budgets: budgets, Wall: kubelets.Wall}),
			"pods/log":                 &logREST{pods: pods, dial: dial},
			"pods/exec":                &execREST{stream},
			"pods/attach":              &attachREST{stream},
			"pods/portforward":         &portForwardREST{stream},
		},
	}, nil
}

// Definition describes pods without their subresources. spec.host is an old name of
// spec.nodeName.
func Definition() resource.Definition[*corev1.Pod] {
	return resource.Definition[*corev1.Pod]{
		GroupVersion:  corev1.SchemeGroupVersion,
		Plural:        "pods",
		Singular:      "pod",
		ShortNames:    []string{"po"},
		Categories:    []string{"all"},
		Namespaced:    true,
		New:           func() *corev1.Pod { return &corev1.Pod{} },
		NewList:       func() runtime.Object { return &corev1.PodList{} },
		Default:       podspec.SetPodDefaults,
		Rules:         rules(),
		Columns:       columns(),
		Fields:        selectableFields,
		FieldAliases:  map[string]string{"spec.host": "spec.nodeName"},
		Indexed:       map[string]func(*corev1.Pod) string{"spec.nodeName": func(p *corev1.Pod) string { return p.Spec.NodeName }},
		ReturnDeleted: true,
	}
}
