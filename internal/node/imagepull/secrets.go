package imagepull

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/redacted"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Credential is a login for the images of a registry, or of a part of it.
type Credential struct {
	// Key says which images it is for: host[:port][/path].
	Key   string
	Login cri.Login
	// Secret is where it comes from, or Account whose token it was had for. Without either
	// it is the node's own, and with that every pod's.
	Secret, Account Source
}

// Source names a Secret or a service account. The zero value names none.
type Source struct {
	UID       types.UID
	Namespace string
	Name      string
}

// entry is one login of a docker configuration.
type entry struct {
	Username      string        `json:"username"`
	Password      redacted.Text `json:"-"`
	IdentityToken redacted.Text `json:"-"`
	RegistryToken redacted.Text `json:"-"`
}

// errAuth is upstream's text.
var errAuth = errors.New("unable to parse auth field, must be formatted as base64(username:password)")

// UnmarshalJSON implements json.Unmarshaler. A field auth counts for more than user name
// and password.
func (e *entry) UnmarshalJSON(raw []byte) error {
	var in struct{ Username, Password, Auth, IdentityToken, RegistryToken string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.Auth != "" {
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(in.Auth, "="))
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return errAuth
		}
		in.Username, in.Password = user, password
	}
	e.Username = in.Username
	e.Password, e.IdentityToken, e.RegistryToken = redacted.New(in.Password), redacted.New(in.IdentityToken), redacted.New(in.RegistryToken)
	return nil
}

// FromSecret reads the logins of a Secret of the types kubernetes.io/dockerconfigjson and
// kubernetes.io/dockercfg. Others have none. The error repeats nothing of the Secret.
func FromSecret(s *corev1.Secret) ([]Credential, error) {
	var entries map[string]entry
	var key string
	var err error
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		var config struct{ Auths map[string]entry }
		key = corev1.DockerConfigJsonKey
		err = json.Unmarshal(s.Data[key], &config)
		entries = config.Auths
	case corev1.SecretTypeDockercfg:
		key = corev1.DockerConfigKey
		err = json.Unmarshal(s.Data[key], &entries)
	default:
		return nil, nil
	}
	if err != nil {
		if !errors.Is(err, errAuth) {
			err = errors.New("it is not the JSON of a docker configuration")
		}
		return nil, fmt.Errorf("image pull secret %s/%s, key %s: %w", s.Namespace, s.Name, key, err)
	}
	from := Source{UID: s.UID, Namespace: s.Namespace, Name: s.Name}
	var out []Credential
	for registry, e := range entries {
		out = append(out, Credential{Key: KeyOf(registry), Secret: from, Login: cri.Login{
			Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken,
		}})
	}
	return out, nil
}
