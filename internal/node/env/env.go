package env

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Var is one variable.
type Var struct {
	Name  string
	Value string
}

// Lookups is where values come from. ConfigMap and Secret read the pod's namespace
// and report a missing object by an error for which apierrors.IsNotFound holds.
type Lookups struct {
	ConfigMap func(name string) (*corev1.ConfigMap, error)
	Secret    func(name string) (*corev1.Secret, error)
	Field     func(*corev1.ObjectFieldSelector) (string, error)
	Resource  func(*corev1.ResourceFieldSelector) (string, error)
	// File reads a file of a volume. Its error is fs.ErrNotExist when there is none,
	// and goes into messages that users see.
	File func(*corev1.FileKeySelector) ([]byte, error)
}

// Container returns the variables of container c in a pod of namespace: those of
// envFrom in list order, then those of env in order, then the service variables
// whose names are still free. A later variable of the same name replaces the value
// of the earlier one in place, and the order is the same each time. Errors carry
// upstream's wording and no value; they become the message of
// CreateContainerConfigError. An environment that Linux or the runtime cannot pass to
// a program is an error too.
func Container(namespace string, c *corev1.Container, services []Var, look Lookups) ([]Var, error) {
	b := builder{namespace: namespace, look: look, index: map[string]int{}, services: map[string]string{}}
	for _, v := range services {
		b.services[v.Name] = v.Value
	}
	for i := range c.EnvFrom {
		if err := b.from(&c.EnvFrom[i]); err != nil {
			return nil, err
		}
	}
	for i := range c.Env {
		if err := b.env(&c.Env[i]); err != nil {
			return nil, err
		}
	}
	for _, v := range services {
		if _, taken := b.index[v.Name]; taken {
			continue
		}
		if err := b.set(v.Name, v.Value); err != nil {
			return nil, err
		}
	}
	if err := check(b.vars); err != nil {
		return nil, err
	}
	return b.vars, nil
}

type builder struct {
	namespace string
	look      Lookups
	services  map[string]string

	vars    []Var
	index   map[string]int
	written int // bytes of everything set so far, also of what was replaced
}

// set adds or replaces a variable. All that is set is bounded, so that values made
// of values cannot grow without end.
func (b *builder) set(name, value string) error {
	if b.written += len(name) + len(value); b.written > mostTotal {
		return errTooLarge
	}
	if i, ok := b.index[name]; ok {
		b.vars[i].Value = value
		return nil
	}
	b.index[name] = len(b.vars)
	b.vars = append(b.vars, Var{name, value})
	return nil
}

// get is the mapping of $(VAR): variables defined so far, then service variables.
func (b *builder) get(name string) (string, bool) {
	if i, ok := b.index[name]; ok {
		return b.vars[i].Value, true
	}
	v, ok := b.services[name]
	return v, ok
}

// from adds every key of an object. A ConfigMap's binaryData is no source.
func (b *builder) from(src *corev1.EnvFromSource) error {
	switch {
	case src.ConfigMapRef != nil:
		cm, err := b.look.ConfigMap(src.ConfigMapRef.Name)
		if err != nil {
			return optionalObject(err, src.ConfigMapRef.Optional)
		}
		for _, k := range sortedKeys(cm.Data) {
			if err := b.set(src.Prefix+k, cm.Data[k]); err != nil {
				return err
			}
		}
	case src.SecretRef != nil:
		secret, err := b.look.Secret(src.SecretRef.Name)
		if err != nil {
			return optionalObject(err, src.SecretRef.Optional)
		}
		for _, k := range sortedKeys(secret.Data) {
			if err := b.set(src.Prefix+k, string(secret.Data[k])); err != nil {
				return err
			}
		}
	}
	return nil
}

// env adds one variable. Only a literal value is expanded.
func (b *builder) env(e *corev1.EnvVar) error {
	if e.Value != "" || e.ValueFrom == nil {
		value, err := Expand(e.Value, mostString(), b.get)
		if err != nil {
			return tooLong(e.Name)
		}
		return b.set(e.Name, value)
	}
	value, found, err := b.valueFrom(e.ValueFrom)
	if err != nil || !found {
		return err
	}
	return b.set(e.Name, value)
}

func (b *builder) valueFrom(src *corev1.EnvVarSource) (value string, found bool, err error) {
	switch {
	case src.FieldRef != nil:
		value, err = b.look.Field(src.FieldRef)
		return value, err == nil, err
	case src.ResourceFieldRef != nil:
		value, err = b.look.Resource(src.ResourceFieldRef)
		return value, err == nil, err
	case src.ConfigMapKeyRef != nil:
		return b.configMapKey(src.ConfigMapKeyRef)
	case src.SecretKeyRef != nil:
		return b.secretKey(src.SecretKeyRef)
	case src.FileKeyRef != nil:
		return b.fileKey(src.FileKeyRef)
	}
	return "", false, nil
}

func (b *builder) configMapKey(ref *corev1.ConfigMapKeySelector) (string, bool, error) {
	cm, err := b.look.ConfigMap(ref.Name)
	if err != nil {
		return "", false, optionalObject(err, ref.Optional)
	}
	value, ok := cm.Data[ref.Key]
	if !ok && !isTrue(ref.Optional) {
		return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, b.namespace, ref.Name)
	}
	return value, ok, nil
}

func (b *builder) secretKey(ref *corev1.SecretKeySelector) (string, bool, error) {
	secret, err := b.look.Secret(ref.Name)
	if err != nil {
		return "", false, optionalObject(err, ref.Optional)
	}
	value, ok := secret.Data[ref.Key]
	if !ok && !isTrue(ref.Optional) {
		return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, b.namespace, ref.Name)
	}
	return string(value), ok, nil
}

// optionalObject forgives that an optional object is missing, nothing else.
func optionalObject(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && isTrue(optional) {
		return nil
	}
	return err
}

func isTrue(b *bool) bool { return b != nil && *b }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
