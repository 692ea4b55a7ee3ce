package imagepull

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKeysAreRegistriesWithoutSchemeAndVersion(t *testing.T) {
	for registry, want := range map[string]string{
		"https://index.docker.io/v1/":    "index.docker.io",
		"https://r.example/v2/team":      "r.example/team",
		"http://r.example:5000":          "r.example:5000",
		"r.example/team/app":             "r.example/team/app",
		"r.example/":                     "r.example",
		"*.example:443/a":                "*.example:443/a",
		"https://r.example/v1beta/thing": "r.example/v1beta/thing",
	} {
		if got := KeyOf(registry); got != want {
			t.Errorf("%s: %q, want %q", registry, got, want)
		}
	}
}

func TestCredentialsMatchAsTheKubeletMatches(t *testing.T) {
	for _, tt := range []struct {
		keys, image string
		want        string
	}{
		{"r.example", "r.example/app:1", "r.example"},
		{"r.example", "r.example:5000/app:1", ""},
		{"r.example:5000", "r.example:5000/app", "r.example:5000"},
		{"*.example", "r.example/app", "*.example"},
		{"*.example", "a.r.example/app", ""},
		{"*.r.example", "a.r.example/app", "*.r.example"},
		{"r*.example", "r2.example/app", "r*.example"},
		{"r.example/team r.example r.example/team/app", "r.example/team/app:1", "r.example/team/app r.example/team r.example"},
		{"r.example/team", "r.example/teams/app", "r.example/team"},
		{"r.example/other", "r.example/team/app", ""},
		{"index.docker.io", "busybox:1.28", "index.docker.io"},
		{"index.docker.io", "docker.io/library/busybox", "index.docker.io"},
		{"index.docker.io", "r.example/busybox", ""},
		{"index.docker.io", "localhost/busybox", ""},
		{"docker.io index.docker.io", "busybox", "docker.io"},
		{"r.example", "r.example.evil.com/app", ""},
		{"[", "r.example/app", ""},
	} {
		var all []Credential
		for key := range strings.FieldsSeq(tt.keys) {
			all = append(all, Credential{Key: key})
		}
		repository, err := repositoryOf(tt.image)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range Match(all, repository, tt.image) {
			got = append(got, c.Key)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("keys %s, image %s: %q, want %q", tt.keys, tt.image, got, tt.want)
		}
	}
}

func secret(kind corev1.SecretType, key, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "u"}, Type: kind,
		Data: map[string][]byte{key: []byte(value)},
	}
}

func TestBothFormatsOfSecretsAreRead(t *testing.T) {
	auth := base64.StdEncoding.EncodeToString([]byte("ann:pass:word"))
	bare := strings.TrimRight(auth, "=")
	for name, s := range map[string]*corev1.Secret{
		"json":     secret(corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", `{"auths":{"https://r.example/v1/":{"username":"ann","password":"pass:word","email":"x"}}}`),
		"cfg":      secret(corev1.SecretTypeDockercfg, ".dockercfg", `{"r.example":{"username":"ann","password":"pass:word"}}`),
		"auth":     secret(corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", fmt.Sprintf(`{"auths":{"r.example":{"auth":%q}}}`, auth)),
		"unpadded": secret(corev1.SecretTypeDockercfg, ".dockercfg", fmt.Sprintf(`{"r.example":{"username":"other","auth":%q}}`, bare)),
	} {
		got, err := FromSecret(s)
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		c := got[0]
		if c.Key != "r.example" || c.Login.Username != "ann" || c.Login.Password.Reveal() != "pass:word" || c.Secret != (Source{"u", "ns", "s"}) {
			t.Errorf("%s: %+v with password %q", name, c, c.Login.Password.Reveal())
		}
		if printed := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(printed, "pass:word") {
			t.Errorf("%s: a credential prints its password: %s", name, printed)
		}
	}
	if got, err := FromSecret(secret(corev1.SecretTypeOpaque, ".dockercfg", "{}")); got != nil || err != nil {
		t.Errorf("opaque: %v, %v", got, err)
	}
}

func TestBrokenSecretsAreToldWithoutWhatIsInThem(t *testing.T) {
	for name, s := range map[string]*corev1.Secret{
		"no JSON":  secret(corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", `hunter2`),
		"no colon": secret(corev1.SecretTypeDockercfg, ".dockercfg", `{"r":{"auth":"aHVudGVyMg=="}}`),
		"bad auth": secret(corev1.SecretTypeDockercfg, ".dockercfg", `{"r":{"auth":"hunter2!"}}`),
		"numbers":  secret(corev1.SecretTypeDockercfg, ".dockercfg", `{"r":{"password":12345}}`),
		"no key":   secret(corev1.SecretTypeDockercfg, "other", `{}`),
	} {
		_, err := FromSecret(s)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, "image pull secret ns/s, key ") || slices.ContainsFunc([]string{"hunter2", "aHVud", "12345"}, func(p string) bool { return strings.Contains(text, p) }) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func FuzzFromSecret(f *testing.F) {
	f.Add([]byte(`{"auths":{"https://r.example/v1/":{"username":"ann","password":"p","auth":"YTpi"}}}`), "r.example/app")
	f.Fuzz(func(t *testing.T, raw []byte, image string) {
		got, err := FromSecret(secret(corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", string(raw)))
		if err != nil {
			return
		}
		if repository, err := repositoryOf(image); err == nil {
			Match(got, repository, image)
		}
	})
}
