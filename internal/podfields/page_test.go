package podfields

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/test/page"
)

// TestPageOfPodFields holds docs/honoured.md to the tables.
func TestPageOfPodFields(t *testing.T) {
	p := pageOfFields{outcomes: map[string]*outcomes{}}
	p.at("")
	p.structure(reflect.TypeFor[corev1.PodSpec](), "")
	var b strings.Builder
	p.at("containers[]").also = "; all of it holds for `spec.initContainers[]` and `spec.ephemeralContainers[]` too"
	b.WriteString("| fields of | honoured | ignored, and a warning says so | the pod waits, and an Event says so |\n|---|---|---|---|\n")
	for _, in := range p.order {
		o := p.outcomes[in]
		if len(o.honoured)+len(o.ignored)+len(o.blocking) == 0 {
			continue // only what holds others
		}
		where := "`spec`"
		if in != "" {
			where = "`spec." + in + "`" + o.also
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", where, strings.Join(o.honoured, ", "), strings.Join(o.ignored, ", "), strings.Join(o.blocking, ", "))
	}
	page.Hold(t, "docs/honoured.md", "fields of pods", b.String())
}

// pageOfFields sorts the fields of a pod spec by what becomes of them. A field is shown
// where its fate is decided: below a field that is honoured, or not, nothing is said.
type pageOfFields struct {
	order    []string
	outcomes map[string]*outcomes
}

type outcomes struct {
	honoured, ignored, blocking []string
	also                        string // what else is said of where they stand
}

func (p *pageOfFields) structure(typ reflect.Type, path string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "": // inlined
			p.structure(f.Type, path)
		case path == "":
			p.field(f.Type, path, name, name)
		default:
			p.field(f.Type, path, name, path+"."+name)
		}
	}
}

// field files one field; path is its path as the tables write it, in the one of what
// holds it.
func (p *pageOfFields) field(typ reflect.Type, in, name, path string) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case decided(path) != path: // shown with containers
		return
	case known[path]:
		p.at(in).honoured = append(p.at(in).honoured, "`"+name+"`")
		return
	case len(neutral[path]) > 0:
		for _, value := range neutral[path] {
			p.at(in).honoured = append(p.at(in).honoured, fmt.Sprintf("`%s: %v`", name, value))
		}
		name += " (any other)"
	case !parents[path]:
	case typ.Kind() == reflect.Slice:
		p.field(typ.Elem(), in, name+"[]", path+"[]")
		return
	case typ.Kind() == reflect.Map:
		for _, h := range honoured {
			if key, ok := strings.CutPrefix(h, path+"["); ok {
				p.at(in).honoured = append(p.at(in).honoured, "`"+name+"["+key+"`")
			}
		}
		name += " (any other)"
	case typ.Kind() == reflect.Struct && typ != reflect.TypeFor[resource.Quantity]():
		p.at(path) // its place in the order
		p.structure(typ, path)
		return
	}
	name, other := strings.CutSuffix(name, " (any other)")
	name = "`" + name + "`"
	if other {
		name += " otherwise"
	}
	if _, blocks := outcome(path); blocks {
		p.at(in).blocking = append(p.at(in).blocking, name)
	} else {
		p.at(in).ignored = append(p.at(in).ignored, name)
	}
}

func (p *pageOfFields) at(in string) *outcomes {
	if p.outcomes[in] == nil {
		p.outcomes[in] = &outcomes{}
		p.order = append(p.order, in)
	}
	return p.outcomes[in]
}

// TestPageKnowsEveryHonouredField: a field of the table that the page does not show would
// be one that the walk over the types misses.
func TestPageKnowsEveryHonouredField(t *testing.T) {
	p := pageOfFields{outcomes: map[string]*outcomes{}}
	p.at("")
	p.structure(reflect.TypeFor[corev1.PodSpec](), "")
	var shown []string
	for in, o := range p.outcomes {
		for _, name := range o.honoured {
			name = strings.Trim(name, "`")
			if in != "" {
				name = in + "." + name
			}
			shown = append(shown, name)
		}
	}
	for _, path := range honoured {
		if !slices.Contains(shown, path) {
			t.Errorf("%s is honoured and not on the page", path)
		}
	}
}
