package cli

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spf13/pflag"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/test/page"
)

// TestReferenceOfTheConfigurationFile holds docs/configuration.md to the fields that the
// file can have and to the flags that set the same.
func TestReferenceOfTheConfigurationFile(t *testing.T) {
	t.Setenv("HOME", "/home/user")
	t.Setenv("XDG_DATA_HOME", "")
	flags := flagsByField(t)
	c := config.Default()
	c.DataDir = "" // it differs between users, and its flag's text says how
	var b strings.Builder
	b.WriteString("| field | default | flag | what it is |\n|---|---|---|---|\n")
	eachField(reflect.ValueOf(&c).Elem(), "", func(path string, v reflect.Value) {
		flag := flags[path]
		if flag == nil {
			t.Errorf("the field %s has no flag, and so no text", path)
			return
		}
		delete(flags, path)
		_, usage := pflag.UnquoteUsage(flag)
		name := "--" + flag.Name
		if flag.Name == flag.Shorthand {
			name = "-" + flag.Name
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", path, shownDefault(v), name, strings.ReplaceAll(usage, "|", "\\|"))
	})
	for path := range flags {
		t.Errorf("a flag sets %s, which no file can", path)
	}
	page.Hold(t, "docs/configuration.md", "fields of the configuration file", b.String())
}

// flagsByField finds out which field of the file each flag of `laterna up` sets, by
// setting it.
func flagsByField(t *testing.T) map[string]*pflag.Flag {
	t.Helper()
	found := map[string]*pflag.Flag{}
	var all configFlags
	names := pflag.NewFlagSet("", pflag.ContinueOnError)
	all.bind(names, true)
	names.VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" {
			return // the file itself
		}
		var c configFlags
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.bind(set, true)
		value := map[string]string{"bool": "true", "int": "7", "int64": "7", "duration": "77h"}[f.Value.Type()]
		switch {
		case value == "":
			value = "other"
		case f.DefValue == "true":
			value = "false"
		}
		if err := set.Set(f.Name, value); err != nil {
			t.Fatalf("--%s: %v", f.Name, err)
		}
		before, after := fieldsOf(config.Default()), fieldsOf(c.config)
		for path := range after {
			if before[path] != after[path] {
				found[path] = f
			}
		}
	})
	return found
}

func fieldsOf(c config.Config) map[string]string {
	out := map[string]string{}
	eachField(reflect.ValueOf(&c).Elem(), "", func(path string, v reflect.Value) { out[path] = fmt.Sprint(v) })
	return out
}

// eachField yields the fields of a configuration by their path in the file, without what
// heads the file.
func eachField(v reflect.Value, above string, yield func(string, reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		switch f := v.Field(i); {
		case name == "": // apiVersion and kind
		case f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[metav1.Duration]():
			eachField(f, above+name+".", yield)
		default:
			yield(above+name, f)
		}
	}
}

func shownDefault(v reflect.Value) string {
	if d, ok := v.Interface().(metav1.Duration); ok && !v.IsZero() {
		text := d.Duration.String()
		if hours, whole := strings.CutSuffix(text, "h0m0s"); whole {
			text = hours + "h"
		}
		return "`" + text + "`"
	}
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	return fmt.Sprintf("`%v`", v)
}
