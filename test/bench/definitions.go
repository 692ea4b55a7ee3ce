package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"laterna.dev/laterna/test/system"
)

const (
	// manyDefinitions are as many as two or three operators bring.
	manyDefinitions = 30
	// libraryFloor is how long the library waits in a create that comes soon after its
	// definition is established.
	libraryFloor = 2 * time.Second
)

// definition is one with a schema of some hundred fields.
func definition(n int) *v1.CustomResourceDefinition {
	properties := map[string]v1.JSONSchemaProps{}
	for i := range 300 {
		properties[fmt.Sprintf("field%d", i)] = v1.JSONSchemaProps{Type: "string", Description: strings.Repeat("What this field means and who reads it. ", 4)}
	}
	plural := fmt.Sprintf("benches%d", n)
	return &v1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + ".bench.example.com"}, Spec: v1.CustomResourceDefinitionSpec{
		Group: "bench.example.com", Scope: v1.NamespaceScoped, Names: v1.CustomResourceDefinitionNames{Plural: plural, Kind: fmt.Sprintf("Bench%d", n)},
		Versions: []v1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &v1.CustomResourceValidation{OpenAPIV3Schema: &v1.JSONSchemaProps{
			Type: "object", Properties: map[string]v1.JSONSchemaProps{"spec": {Type: "object", Properties: properties}}}}}},
	}}
}

// definer makes definitions, and their first objects.
type definer struct {
	definitions clientset.Interface
	objects     dynamic.Interface
}

func newDefiner(s *system.System) (d definer, err error) {
	config, err := s.Config()
	if err != nil {
		return d, err
	}
	if d.definitions, err = clientset.NewForConfig(config); err != nil {
		return d, err
	}
	d.objects, err = dynamic.NewForConfig(config)
	return d, err
}

// first makes a definition and, as soon as that is taken, an object of it. It returns how
// long the definition's create has taken, until it was established, and until the object
// was stored, all from the beginning.
func (d definer) first(ctx context.Context, n int) (made, established, stored time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	c, all := definition(n), d.definitions.ApiextensionsV1().CustomResourceDefinitions()
	began := time.Now()
	if _, err := all.Create(ctx, c, metav1.CreateOptions{}); err != nil {
		return 0, 0, 0, err
	}
	made = time.Since(began)
	for !isEstablished(c) {
		if c, err = all.Get(ctx, c.Name, metav1.GetOptions{}); err != nil {
			return 0, 0, 0, err
		}
	}
	established = time.Since(began)
	objects := d.objects.Resource(schema.GroupVersionResource{Group: c.Spec.Group, Version: "v1", Resource: c.Spec.Names.Plural}).Namespace("default")
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"field1": "a"}}}
	o.SetAPIVersion(c.Spec.Group + "/v1")
	o.SetKind(c.Spec.Names.Kind)
	o.SetName("first")
	_, err = objects.Create(ctx, o, metav1.CreateOptions{})
	return made, established, time.Since(began), err
}

func isEstablished(c *v1.CustomResourceDefinition) bool {
	for _, condition := range c.Status.Conditions {
		if condition.Type == v1.Established && condition.Status == v1.ConditionTrue {
			return true
		}
	}
	return false
}

// measureDefinitions takes the time from definitions to objects, and what many of them cost
// a system that idles, and its start: the same system is measured without them before.
func measureDefinitions(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	without, bare, err := b.idles(ctx, s)
	if err != nil {
		return nil, err
	}
	first, err := b.define(ctx, s)
	if err != nil {
		return nil, err
	}
	with, m, err := b.idles(ctx, s)
	if err != nil {
		return nil, err
	}
	warm := with.figure(fmt.Sprintf("process start → /readyz, warm, without a node, with %d definitions", manyDefinitions), 0)
	warm.Note += fmt.Sprintf("; without them %s ms", number(ms(without.seen.median())))
	return []figure{first, warm,
		{What: fmt.Sprintf("resident memory, idle, without a node, with %d definitions", manyDefinitions), Value: m.rss, Unit: "MiB",
			Note: fmt.Sprintf("sum of RSS %s after a start that serves them, n=1: %s; without them %s MiB", settle, m.parts(), number(bare.rss))},
	}, b.remove(s)
}

// idles starts a system again and again, and reads its memory after the last start.
func (b *bench) idles(ctx context.Context, s *system.System) (warm starts, m memory, err error) {
	for range b.memoryRounds() {
		if err := errors.Join(s.Stop(), warm.launch(ctx, s)); err != nil {
			return warm, m, err
		}
	}
	if err := pause(ctx, settle); err != nil {
		return warm, m, err
	}
	m, err = occupied(s)
	return warm, m, err
}

// define makes manyDefinitions. Its figure is of the first objects of some.
func (b *bench) define(ctx context.Context, s *system.System) (figure, error) {
	d, err := newDefiner(s)
	if err != nil {
		return figure{}, err
	}
	var firstMade time.Duration
	var established, stored durations
	for n := range manyDefinitions {
		made, e, o, err := d.first(ctx, n)
		if err != nil {
			return figure{}, fmt.Errorf("definition %d: %w", n, err)
		}
		if n == 0 {
			firstMade = made
			continue
		}
		if established, stored = append(established, e), append(stored, o); n >= b.rounds {
			break
		}
	}
	for n := len(stored) + 1; n < manyDefinitions; n++ {
		if _, err := d.definitions.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, definition(n), metav1.CreateOptions{}); err != nil {
			return figure{}, err
		}
	}
	first := stored.figure("definition created → its first object stored", 0)
	first.Note += fmt.Sprintf("; the library waits %s of it; established after %s ms; the first definition of a system is answered after %s ms",
		libraryFloor, number(ms(established.median())), number(ms(firstMade)))
	return first, nil
}
