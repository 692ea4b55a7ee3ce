package projection

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"laterna.dev/laterna/projection/atomicdir"
)

// projector collects the files of one volume. A file that comes later takes the
// place of an earlier one at the same path.
type projector struct {
	pod     *corev1.Pod
	sources Sources
	mode    int32                     // the volume's defaultMode
	user    *int64                    // and defaultUser
	files   map[string]atomicdir.File // by cleaned path
	// credentials are the paths of tokens and certificates.
	credentials map[string]bool
	// texts are the values that were asked for, as bytes: a value that many items show
	// is held once, as a pod of few bytes can list the same megabyte thousands of times.
	texts map[textKey][]byte
}

// textKey names a value: a key of a ConfigMap, or what a downward item refers to.
type textKey struct {
	configMap *corev1.ConfigMap
	key       string
	field     corev1.ObjectFieldSelector
	resource  resourceKey
}

type resourceKey struct{ container, resource, divisor string }

// text returns a value's bytes, made from its text once.
func (p *projector) text(key textKey, value string) []byte {
	if data, ok := p.texts[key]; ok {
		return data
	}
	if p.texts == nil {
		p.texts = map[textKey][]byte{}
	}
	p.texts[key] = []byte(value)
	return p.texts[key]
}

func (p *projector) add(file string, data []byte, mode int32, uid *int64) {
	clean := cleanPath(file)
	delete(p.credentials, clean)
	p.files[clean] = atomicdir.File{Path: clean, Data: data, Mode: fs.FileMode(mode), UID: uid}
}

func cleanPath(file string) string {
	if file == "" {
		return ""
	}
	return path.Clean(file)
}

// tree returns what was collected, in the order of paths, with the group's share.
func (p *projector) tree() atomicdir.Tree {
	t := atomicdir.Tree{Group: FSGroup(p.pod), Files: make([]atomicdir.File, 0, len(p.files))}
	for _, f := range p.files {
		if t.Group != nil {
			f.GID = t.Group
			f.Mode |= 0o440
		}
		t.Files = append(t.Files, f)
	}
	slices.SortFunc(t.Files, func(a, b atomicdir.File) int { return strings.Compare(a.Path, b.Path) })
	return t
}

func (p *projector) projected(sources []corev1.VolumeProjection) error {
	var errs []error
	for i := range sources {
		if err := p.source(&sources[i]); err != nil {
			errs = append(errs, err)
		}
	}
	return utilerrors.NewAggregate(errs)
}

func (p *projector) source(s *corev1.VolumeProjection) error {
	switch {
	case s.Secret != nil:
		return p.secret(s.Secret.Name, s.Secret.Items, s.Secret.Optional)
	case s.ConfigMap != nil:
		return p.configMap(s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional)
	case s.DownwardAPI != nil:
		return p.downward(s.DownwardAPI.Items)
	case s.ServiceAccountToken != nil:
		return p.token(s.ServiceAccountToken)
	}
	if kind := UnsupportedSource(s); kind != "" {
		return fmt.Errorf("projected source of kind %q is %w", kind, ErrUnsupported)
	}
	return nil // an empty source is allowed and shows nothing
}

func (p *projector) secret(name string, items []corev1.KeyToPath, optional *bool) error {
	if p.sources.Secret == nil {
		return fmt.Errorf("source of kind %q is %w", "secret", ErrUnsupported)
	}
	secret, err := p.sources.Secret(name)
	if err != nil {
		if !isTrue(optional) || !apierrors.IsNotFound(err) {
			return err
		}
		secret = &corev1.Secret{}
	}
	get := func(key string) ([]byte, bool) {
		data, ok := secret.Data[key]
		return data, ok
	}
	if len(items) == 0 {
		for key := range secret.Data {
			p.add(key, secret.Data[key], p.mode, p.user)
		}
	}
	return p.items(items, get, isTrue(optional), "references non-existent secret key: %s")
}

func (p *projector) configMap(name string, items []corev1.KeyToPath, optional *bool) error {
	if p.sources.ConfigMap == nil {
		return fmt.Errorf("source of kind %q is %w", "configMap", ErrUnsupported)
	}
	cm, err := p.sources.ConfigMap(name)
	if err != nil {
		if !isTrue(optional) || !apierrors.IsNotFound(err) {
			return err
		}
		cm = &corev1.ConfigMap{}
	}
	get := func(key string) ([]byte, bool) {
		if text, ok := cm.Data[key]; ok {
			return p.text(textKey{configMap: cm, key: key}, text), true
		}
		data, ok := cm.BinaryData[key]
		return data, ok
	}
	if len(items) == 0 {
		for key, text := range cm.Data {
			p.add(key, p.text(textKey{configMap: cm, key: key}, text), p.mode, p.user)
		}
		for key, data := range cm.BinaryData {
			p.add(key, data, p.mode, p.user)
		}
	}
	return p.items(items, get, isTrue(optional), "configmap references non-existent config key: %s")
}

// items adds the keys that a source lists. Nothing is added when one is missing.
func (p *projector) items(items []corev1.KeyToPath, get func(string) ([]byte, bool), optional bool, missing string) error {
	for _, item := range items {
		if _, ok := get(item.Key); !ok && !optional {
			return fmt.Errorf(missing, item.Key)
		}
	}
	for _, item := range items {
		if data, ok := get(item.Key); ok {
			p.add(item.Path, data, mode(item.Mode, p.mode), cmp.Or(item.User, p.user))
		}
	}
	return nil
}

func (p *projector) downward(items []corev1.DownwardAPIVolumeFile) error {
	var errs []error
	for i := range items {
		value, err := p.downwardValue(&items[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.add(items[i].Path, value, mode(items[i].Mode, p.mode), cmp.Or(items[i].User, p.user))
	}
	return utilerrors.NewAggregate(errs)
}

func (p *projector) downwardValue(item *corev1.DownwardAPIVolumeFile) ([]byte, error) {
	var key textKey
	var value func() (string, error)
	switch {
	case item.FieldRef != nil:
		key.field = *item.FieldRef
		value = func() (string, error) { return volumeField(p.pod, item.FieldRef) }
	case item.ResourceFieldRef != nil:
		ref := item.ResourceFieldRef
		key.resource = resourceKey{ref.ContainerName, ref.Resource, ref.Divisor.String()}
		value = func() (string, error) { return ResourceFieldRef(p.pod, "", ref, p.sources.Allocatable) }
	default:
		return nil, nil
	}
	if data, ok := p.texts[key]; ok {
		return data, nil
	}
	text, err := value()
	if err != nil {
		return nil, err
	}
	return p.text(key, text), nil
}

// privateMode is a token's mode when Kubernetes itself finds out who shall read it.
const privateMode = 0o600

func (p *projector) token(t *corev1.ServiceAccountTokenProjection) error {
	if p.sources.Token == nil {
		return fmt.Errorf("source of kind %q is %w", "serviceAccountToken", ErrUnsupported)
	}
	data, err := p.sources.Token(tokenRef(t))
	if err != nil {
		return err
	}
	user, mode := cmp.Or(t.User, p.user), p.mode
	if user == nil {
		user = FSUser(p.pod)
		if user != nil {
			mode = privateMode
		}
	}
	if FSGroup(p.pod) != nil {
		mode = privateMode
	}
	p.add(t.Path, data, mode, user)
	p.credentials[cleanPath(t.Path)] = true
	return nil
}

func isTrue(b *bool) bool { return b != nil && *b }
