package env

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func literal(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }

func TestWhatNoProgramCanBeGivenIsRefused(t *testing.T) {
	long := strings.Repeat("x", mostString())
	look := lookups()
	look.Secret = func(string) (*corev1.Secret, error) {
		return &corev1.Secret{Data: map[string][]byte{"zero": []byte("a\x00b"), "binary": {0xff, 0xfe}, "long": []byte(long), "fits": []byte(long[len("V="):])}}, nil
	}
	for name, tt := range map[string]struct {
		source *corev1.EnvVarSource
		err    string
	}{
		"zero":   {secretKey("s", "zero", false), `environment variable "V": its value has a zero byte; use a volume for binary data`},
		"binary": {secretKey("s", "binary", false), `environment variable "V": its value is not UTF-8; use a volume for binary data`},
		"long":   {secretKey("s", "long", false), `environment variable "V" is too long: Linux passes at most`},
		"fits":   {secretKey("s", "fits", false), ""},
	} {
		c := one(tt.source)
		_, err := Container("ns", &c, nil, look)
		if (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", name, err, tt.err)
		}
	}
}

// TestReferencesToReferencesStayBounded expands to 10^20 bytes, if it may.
func TestReferencesToReferencesStayBounded(t *testing.T) {
	vars := []corev1.EnvVar{literal("V0", "0123456789")}
	for i := 1; i < 20; i++ {
		vars = append(vars, literal(fmt.Sprintf("V%d", i), strings.Repeat(fmt.Sprintf("$(V%d)", i-1), 10)))
	}
	if _, err := Container("ns", &corev1.Container{Env: vars}, nil, lookups()); err == nil || !strings.Contains(err.Error(), `"V5" is too long`) {
		t.Errorf("ten times ten times …: %v", err)
	}
	many := []corev1.EnvVar{literal("V0", strings.Repeat("x", mostString()-100))}
	for i := range 1000 {
		many = append(many, literal(fmt.Sprintf("W%d", i), "$(V0)"))
	}
	if _, err := Container("ns", &corev1.Container{Env: many}, nil, lookups()); err == nil || !strings.Contains(err.Error(), "the environment is too large") {
		t.Errorf("a thousand times: %v", err)
	}
}

func TestArgumentsStayBounded(t *testing.T) {
	vars := []Var{{"V", strings.Repeat("x", mostString()/2)}, {"ZERO", "\x00"}}
	many := make([]string, 1000)
	for i := range many {
		many[i] = "$(V)"
	}
	for want, c := range map[string]corev1.Container{
		"command[1] is too long": {Command: []string{"sh", "$(V)$(V)$(V)"}},
		"] is too long":          {Args: many},
		"args[0] has a zero":     {Args: []string{"$(ZERO)"}},
	} {
		if _, _, err := Command(&c, vars); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestManyVariablesKeepTheirOrder(t *testing.T) {
	var want []corev1.EnvVar
	for i := range 5000 {
		want = append(want, literal(fmt.Sprintf("V%d", 7919*i%5000), "x"))
	}
	for range 2 {
		got, err := Container("ns", &corev1.Container{Env: want}, nil, lookups())
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d variables, %v", len(got), err)
		}
		for i := range got {
			if got[i].Name != want[i].Name {
				t.Fatalf("variable %d is %s, want %s", i, got[i].Name, want[i].Name)
			}
		}
	}
}

func TestUnclosedReferencesAreReadOnce(t *testing.T) {
	text := strings.Repeat("$(", 1<<20)
	unknown := func(string) (string, bool) { return "", false }
	if got, err := Expand(text, len(text), unknown); got != text || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
