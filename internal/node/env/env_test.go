package env

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func lookups() Lookups {
	notFound := func(resource, name string) error {
		return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
	}
	return Lookups{
		ConfigMap: func(name string) (*corev1.ConfigMap, error) {
			switch name {
			case "cm":
				return &corev1.ConfigMap{Data: map[string]string{"a": "1", "b": "2"}, BinaryData: map[string][]byte{"bin": {0}}}, nil
			case "forbidden":
				return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, name, errors.New("no"))
			}
			return nil, notFound("configmaps", name)
		},
		Secret: func(name string) (*corev1.Secret, error) {
			if name == "s" {
				return &corev1.Secret{Data: map[string][]byte{"a": []byte("secret-a"), "weird.name-1": []byte("w")}}, nil
			}
			return nil, notFound("secrets", name)
		},
		Field:    func(ref *corev1.ObjectFieldSelector) (string, error) { return "field:" + ref.FieldPath, nil },
		Resource: func(ref *corev1.ResourceFieldSelector) (string, error) { return "resource:" + ref.Resource, nil },
		File: func(ref *corev1.FileKeySelector) ([]byte, error) {
			switch ref.Path {
			case "app.env":
				return []byte("A='from $(file)'\nEMPTY=''\n"), nil
			case "broken.env":
				return []byte("\nA=secret\n"), nil
			case "loop.env":
				return nil, errors.New("not a regular file")
			}
			return nil, fmt.Errorf("reading: %w", fs.ErrNotExist)
		},
	}
}

func ref(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

func cmKey(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: ref(name), Key: key, Optional: &optional}}
}

func secretKey(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref(name), Key: key, Optional: &optional}}
}

func fileKey(file, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "data", Path: file, Key: key, Optional: &optional}}
}

func one(source *corev1.EnvVarSource) corev1.Container {
	return corev1.Container{Env: []corev1.EnvVar{{Name: "V", ValueFrom: source}}}
}

func TestContainer(t *testing.T) {
	yes := true
	tests := map[string]struct {
		container corev1.Container
		services  []Var
		want      []Var
		err       string
	}{
		"later envFrom wins, prefix, binaryData ignored, odd names kept": {
			container: corev1.Container{EnvFrom: []corev1.EnvFromSource{
				{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("cm")}},
				{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref("s")}},
				{Prefix: "P_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("cm")}},
			}},
			want: []Var{{"a", "secret-a"}, {"b", "2"}, {"weird.name-1", "w"}, {"P_a", "1"}, {"P_b", "2"}},
		},
		"env wins over envFrom, services take free names only": {
			container: corev1.Container{
				EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("cm")}}},
				Env:     []corev1.EnvVar{{Name: "a", Value: "env"}},
			},
			services: []Var{{"b", "service"}, {"S", "service"}},
			want:     []Var{{"a", "env"}, {"b", "2"}, {"S", "service"}},
		},
		"expansion sees what is defined so far, then services": {
			container: corev1.Container{
				EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("cm")}}},
				Env: []corev1.EnvVar{
					{Name: "X", Value: "$(a)-$(LATER)-$(SVC)-$$(a)"},
					{Name: "LATER", Value: "l"},
					{Name: "Y", Value: "$(X)"},
				},
			},
			services: []Var{{"SVC", "10.96.0.1"}},
			want:     []Var{{"a", "1"}, {"b", "2"}, {"X", "1-$(LATER)-10.96.0.1-$(a)"}, {"LATER", "l"}, {"Y", "1-$(LATER)-10.96.0.1-$(a)"}, {"SVC", "10.96.0.1"}},
		},
		"sources, not expanded": {
			container: corev1.Container{Env: []corev1.EnvVar{
				{Name: "F", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
				{Name: "R", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
				{Name: "C", ValueFrom: cmKey("cm", "a", false)},
				{Name: "S", ValueFrom: secretKey("s", "a", false)},
				{Name: "EMPTY"},
			}},
			want: []Var{{"F", "field:metadata.name"}, {"R", "resource:limits.cpu"}, {"C", "1"}, {"S", "secret-a"}, {"EMPTY", ""}},
		},
		"optional and missing leaves the variable out": {
			container: corev1.Container{
				EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("none"), Optional: &yes}}},
				Env: []corev1.EnvVar{
					{Name: "A", ValueFrom: cmKey("none", "a", true)},
					{Name: "B", ValueFrom: cmKey("cm", "none", true)},
					{Name: "C", ValueFrom: secretKey("s", "none", true)},
					{Name: "D", ValueFrom: secretKey("none", "a", true)},
				},
			},
		},
		"missing configmap":         {container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: cmKey("none", "a", false)}}}, err: `configmaps "none" not found`},
		"missing configmap key":     {container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: cmKey("cm", "k", false)}}}, err: "couldn't find key k in ConfigMap ns/cm"},
		"missing secret key":        {container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: secretKey("s", "k", false)}}}, err: "couldn't find key k in Secret ns/s"},
		"from a file, as it stands": {container: one(fileKey("app.env", "A", false)), want: []Var{{"V", "from $(file)"}}},
		"optional key of a file": {container: corev1.Container{Env: []corev1.EnvVar{
			{Name: "V", ValueFrom: fileKey("app.env", "NONE", true)}, {Name: "W", ValueFrom: fileKey("app.env", "EMPTY", true)}, {Name: "X", ValueFrom: fileKey("none.env", "A", true)},
		}}},
		"missing key of a file":      {container: one(fileKey("app.env", "NONE", false)), err: `environment variable key "NONE" not found in file "app.env" of volume "data"`},
		"empty value in a file":      {container: one(fileKey("app.env", "EMPTY", false)), err: `environment variable key "EMPTY" not found in file "app.env" of volume "data"`},
		"missing file":               {container: one(fileKey("none.env", "A", false)), err: `couldn't parse env file "none.env" in volume "data": no such file`},
		"broken file, also optional": {container: one(fileKey("broken.env", "A", true)), err: `couldn't parse env file "broken.env" in volume "data": invalid environment variable format at line 2: value must be enclosed in single quotes`},
		"what is no file, optional":  {container: one(fileKey("loop.env", "A", true)), err: `couldn't parse env file "loop.env" in volume "data": not a regular file`},
		"relaxed names": {
			container: corev1.Container{Env: []corev1.EnvVar{{Name: "a b", Value: "1"}, {Name: "1.x-/:", Value: "$(a b)2"}, {Name: "$(a b)", Value: "3"}}},
			want:      []Var{{"a b", "1"}, {"1.x-/:", "12"}, {"$(a b)", "3"}},
		},
		"optional but forbidden": {container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: cmKey("forbidden", "k", true)}}}, err: "forbidden"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Container("ns", &tt.container, tt.services, lookups())
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	get := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "1", "B": "$(A)", "": "empty"}[name]
		return v, ok
	}
	for in, want := range map[string]string{
		"":            "",
		"plain":       "plain",
		"$(A)":        "1",
		"x$(A)y$(A)":  "x1y1",
		"$(B)":        "$(A)",
		"$(NO)":       "$(NO)",
		"$$":          "$",
		"$$(A)":       "$(A)",
		"$$$(A)":      "$1",
		"$(A":         "$(A",
		"$(A$(A)":     "$(A$(A)",
		"$":           "$",
		"a$":          "a$",
		"$A ${A}":     "$A ${A}",
		"$()":         "empty",
		"$(A)$($$":    "1$($",
		"$(A $(B)":    "$(A $(B)",
		"tail $(A)$(": "tail 1$(",
		"grüße $(A) ": "grüße 1 ",
	} {
		if got, err := Expand(in, 100, get); got != want || err != nil {
			t.Errorf("Expand(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"$(A)", "$$(A)", "$($(A))", "$(", "a$$$b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		unknown := func(string) (string, bool) { return "", false }
		// Without known names only "$$" changes.
		got, err := Expand(s, len(s), unknown)
		if err != nil || strings.Count(got, "$") > strings.Count(s, "$") {
			t.Errorf("Expand(%q) = %q, %v", s, got, err)
		}
		known := func(string) (string, bool) { return "value", true }
		if got, err := Expand(s, 10, known); len(got) > 10 {
			t.Errorf("Expand(%q) = %q, %v is longer than it may be", s, got, err)
		}
	})
}

func TestCommand(t *testing.T) {
	c := &corev1.Container{Command: []string{"sh", "-c", "echo $(A) $A"}, Args: []string{"$(B)", "$$(A)"}}
	command, args, err := Command(c, []Var{{"A", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"sh", "-c", "echo 1 $A"}; !reflect.DeepEqual(command, want) {
		t.Errorf("command %q, want %q", command, want)
	}
	if want := []string{"$(B)", "$(A)"}; !reflect.DeepEqual(args, want) {
		t.Errorf("args %q, want %q", args, want)
	}
}

func TestExpandAll(t *testing.T) {
	vars := []Var{{"A", "1"}, {"EMPTY", ""}}
	if got, err := ExpandAll("$(A)/$(EMPTY)x/$$(B)", vars); err != nil || got != "1/x/$(B)" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ExpandAll("$(A)/$(B)", vars); err == nil || err.Error() != `missing value for "B"` {
		t.Errorf("error %v", err)
	}
}

func service(ns, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
}

func TestServices(t *testing.T) {
	all := []*corev1.Service{
		service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}),
		service("default", "other", "10.96.0.2", corev1.ServicePort{Port: 80}),
		service("ns", "my-db", "10.96.0.3", corev1.ServicePort{Name: "sql-1", Port: 5432}, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}),
		service("ns", "headless", "None", corev1.ServicePort{Port: 80}),
		service("ns", "external", ""),
	}
	kubernetes := []Var{
		{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}, {"KUBERNETES_SERVICE_PORT_HTTPS", "443"},
		{"KUBERNETES_PORT", "tcp://10.96.0.1:443"}, {"KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"},
		{"KUBERNETES_PORT_443_TCP_PROTO", "tcp"}, {"KUBERNETES_PORT_443_TCP_PORT", "443"}, {"KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"},
	}
	db := []Var{
		{"MY_DB_SERVICE_HOST", "10.96.0.3"}, {"MY_DB_SERVICE_PORT", "5432"}, {"MY_DB_SERVICE_PORT_SQL_1", "5432"}, {"MY_DB_SERVICE_PORT_DNS", "53"},
		{"MY_DB_PORT", "tcp://10.96.0.3:5432"},
		{"MY_DB_PORT_5432_TCP", "tcp://10.96.0.3:5432"}, {"MY_DB_PORT_5432_TCP_PROTO", "tcp"}, {"MY_DB_PORT_5432_TCP_PORT", "5432"}, {"MY_DB_PORT_5432_TCP_ADDR", "10.96.0.3"},
		{"MY_DB_PORT_53_UDP", "udp://10.96.0.3:53"}, {"MY_DB_PORT_53_UDP_PROTO", "udp"}, {"MY_DB_PORT_53_UDP_PORT", "53"}, {"MY_DB_PORT_53_UDP_ADDR", "10.96.0.3"},
	}
	if got := Services("ns", false, all); !reflect.DeepEqual(got, kubernetes) {
		t.Errorf("without links: %q", got)
	}
	if got := Services("ns", true, all); !reflect.DeepEqual(got, append(append([]Var{}, kubernetes...), db...)) {
		t.Errorf("with links: %q", got)
	}
}
