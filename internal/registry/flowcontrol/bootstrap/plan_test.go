package bootstrap

import (
	"fmt"
	"slices"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"

	"laterna.dev/laterna/internal/registry/resource"
)

// all is what is stored once everything is as it should be.
func all[T resource.Object](k kept[T]) map[string]T {
	out := map[string]T{}
	for _, o := range slices.Concat(k.mandatory, k.suggested) {
		o := o.DeepCopyObject().(T)
		o.SetGeneration(1)
		out[o.GetName()] = o
	}
	return out
}

func names[T resource.Object](list []T) (out []string) {
	for _, o := range list {
		out = append(out, o.GetName())
	}
	slices.Sort(out)
	return out
}

func told[T resource.Object](c changes[T]) string {
	return fmt.Sprint("create ", names(c.create), " update ", names(c.update), " remove ", names(c.remove))
}

func TestEverythingIsMadeOnceAndThenLeftAlone(t *testing.T) {
	if c := levels().plan(nil); len(c.create) != 8 || len(c.update)+len(c.remove) != 0 {
		t.Errorf("levels in an empty store: %s", told(c))
	}
	if c := schemas().plan(nil); len(c.create) != 11 {
		t.Errorf("schemas in an empty store: %s", told(c))
	}
	const nothing = "create [] update [] remove []"
	if got := told(levels().plan(all(levels()))) + told(schemas().plan(all(schemas()))); got != nothing+nothing {
		t.Error(got)
	}
}

func TestWhoMayChangeWhat(t *testing.T) {
	for name, tc := range map[string]struct {
		level  string
		change func(*flowcontrolv1.PriorityLevelConfiguration)
		want   string
		shares int32 // afterwards
		auto   string
	}{
		"a suggested level is another": {"workload-low", func(l *flowcontrolv1.PriorityLevelConfiguration) {
			l.Spec.Limited.NominalConcurrencyShares = new(int32(7))
		}, "create [] update [workload-low] remove []", 100, "true"},
		"and its annotation says that it may": {"workload-low", func(l *flowcontrolv1.PriorityLevelConfiguration) {
			l.Spec.Limited.NominalConcurrencyShares, l.Annotations[automatic] = new(int32(7)), "false"
		}, "create [] update [] remove []", 7, "false"},
		"has lost its annotation, and nobody has changed it": {"workload-low", func(l *flowcontrolv1.PriorityLevelConfiguration) {
			l.Annotations = nil
		}, "create [] update [workload-low] remove []", 100, "true"},
		"has lost its annotation, and somebody has changed it": {"workload-low", func(l *flowcontrolv1.PriorityLevelConfiguration) {
			l.Annotations, l.Generation, l.Spec.Limited.NominalConcurrencyShares = nil, 2, new(int32(7))
		}, "create [] update [workload-low] remove []", 7, "false"},
		"has an annotation that says nothing": {"workload-low", func(l *flowcontrolv1.PriorityLevelConfiguration) {
			l.Annotations[automatic], l.Generation = "perhaps", 3
		}, "create [] update [workload-low] remove []", 100, "false"},
		"a mandatory level is another, whatever it says": {"catch-all", func(l *flowcontrolv1.PriorityLevelConfiguration) {
			l.Spec.Limited.NominalConcurrencyShares, l.Annotations[automatic] = new(int32(7)), "false"
		}, "create [] update [catch-all] remove []", 5, "true"},
	} {
		have := all(levels())
		tc.change(have[tc.level])
		before := have[tc.level].DeepCopy()
		c := levels().plan(have)
		if got := told(c); got != tc.want {
			t.Errorf("%s: %s", name, got)
			continue
		}
		if fmt.Sprint(before) != fmt.Sprint(have[tc.level]) {
			t.Errorf("%s: what is stored has been changed", name)
		}
		after := have[tc.level]
		if len(c.update) == 1 {
			after = c.update[0]
		}
		if got := *after.Spec.Limited.NominalConcurrencyShares; got != tc.shares || after.Annotations[automatic] != tc.auto {
			t.Errorf("%s: %d shares and %s", name, got, after.Annotations)
		}
	}
}

func TestExemptLevelMayLend(t *testing.T) {
	have := all(levels())
	have["exempt"].Spec.Exempt.NominalConcurrencyShares = new(int32(20))
	if got := told(levels().plan(have)); got != "create [] update [] remove []" {
		t.Error(got)
	}
	have["exempt"].Spec.Exempt = nil
	c := levels().plan(have)
	if len(c.update) != 1 || *c.update[0].Spec.Exempt.NominalConcurrencyShares != 0 {
		t.Error(told(c))
	}
}

func TestOnlyWhatWasKeptIsRemoved(t *testing.T) {
	have := all(schemas())
	for name, annotations := range map[string]map[string]string{
		"earlier": {automatic: "true"}, "mine": nil, "kept-by-somebody": {automatic: "false"}, "odd": {automatic: "?"},
	} {
		s := bootstrap.SuggestedFlowSchemaProbes.DeepCopy()
		s.Name, s.Annotations = name, annotations
		have[name] = s
	}
	delete(have, "probes")
	if got := told(schemas().plan(have)); got != "create [probes] update [] remove [earlier]" {
		t.Error(got)
	}
}
