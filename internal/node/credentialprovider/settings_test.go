package credentialprovider

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const head = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n"

const minimal = "- {name: ecr, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [\"*.example\"], defaultCacheDuration: 1h}\n"

// binDir has the program ecr.
func binDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ecr"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func file(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsAreRefusedWithTheirPath(t *testing.T) {
	bin := binDir(t)
	token := func(fields string) string { // of a provider that is right otherwise
		return head + strings.Replace(minimal, "defaultCacheDuration: 1h", "defaultCacheDuration: 1h, tokenAttributes: {"+fields+"}", 1)
	}
	for what, tt := range map[string]struct{ content, want string }{
		"nothing":            {"", "must begin with apiVersion: kubelet.config.k8s.io/v1"},
		"another kind":       {"apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\n", "must begin with"},
		"unknown field":      {head + strings.Replace(minimal, "name: ecr", "nam: ecr, name: ecr", 1), `unknown field "providers[0].nam"`},
		"repeated field":     {head + strings.Replace(minimal, "name: ecr", "name: ecr, name: x", 1), "already"},
		"no providers":       {head, "providers: Required value: at least 1 item in plugins is required"},
		"slash":              {head + strings.Replace(minimal, "name: ecr", "name: ../ecr", 1), "providers[0].name: Invalid value: \"../ecr\": provider name cannot contain '/'"},
		"dots":               {head + strings.Replace(minimal, "name: ecr", "name: ..", 1), "provider name cannot be '..'"},
		"no name":            {head + strings.Replace(minimal, "name: ecr", "name: ''", 1), "providers[0].name: Required value"},
		"no program":         {head + strings.Replace(minimal, "name: ecr", "name: acr", 1), "credential provider acr: its program is not to be run"},
		"twice":              {head + minimal + minimal, "providers[1].name: Duplicate value: \"ecr\""},
		"another protocol":   {head + strings.Replace(minimal, "k8s.io/v1", "k8s.io/v1alpha1", 1), "providers[0].apiVersion: Unsupported value"},
		"no images":          {head + strings.Replace(minimal, `["*.example"]`, "[]", 1), "providers[0].matchImages: Required value"},
		"pattern":            {head + strings.Replace(minimal, "*.example", "[.example", 1), "providers[0].matchImages[0]: Invalid value"},
		"scheme":             {head + strings.Replace(minimal, "*.example", "https://r.example", 1), "it has a scheme"},
		"no duration":        {head + strings.Replace(minimal, ", defaultCacheDuration: 1h", "", 1), "providers[0].defaultCacheDuration: Required value"},
		"negative duration":  {head + strings.Replace(minimal, "1h", "-1h", 1), "must be greater than or equal to 0"},
		"environment":        {head + strings.Replace(minimal, "1h", "1h, env: [{name: 'a=b', value: c}]", 1), "providers[0].env[0]"},
		"no audience":        {token("requireServiceAccount: true, cacheType: Token"), "tokenAttributes.serviceAccountTokenAudience: Required value"},
		"account not said":   {token("serviceAccountTokenAudience: a, cacheType: Token"), "tokenAttributes.requireServiceAccount: Required value"},
		"no cache type":      {token("serviceAccountTokenAudience: a, requireServiceAccount: true"), "tokenAttributes.cacheType: Required value"},
		"unknown cache type": {token("serviceAccountTokenAudience: a, requireServiceAccount: true, cacheType: Pod"), "tokenAttributes.cacheType: Unsupported value"},
		"annotations without an account": {token("serviceAccountTokenAudience: a, requireServiceAccount: false, cacheType: Token, requiredServiceAccountAnnotationKeys: [k]"),
			"requireServiceAccount cannot be false"},
		"both":        {token("serviceAccountTokenAudience: a, requireServiceAccount: true, cacheType: Token, requiredServiceAccountAnnotationKeys: [k], optionalServiceAccountAnnotationKeys: [k]"), "both required and optional"},
		"repeated":    {token("serviceAccountTokenAudience: a, requireServiceAccount: true, cacheType: Token, optionalServiceAccountAnnotationKeys: [k, k]"), "Keys[1]: Duplicate value"},
		"no such key": {token("serviceAccountTokenAudience: a, requireServiceAccount: true, cacheType: Token, optionalServiceAccountAnnotationKeys: ['a b']"), "optionalServiceAccountAnnotationKeys[0]: Invalid value"},
	} {
		_, err := Load(file(t, t.TempDir(), "c.yaml", tt.content), bin)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", what, err, tt.want)
		}
	}
	for _, paths := range [][2]string{{"", bin}, {"/nothing", ""}} {
		if _, err := Load(paths[0], paths[1]); err == nil || !strings.Contains(err.Error(), "is given without --image-credential-provider-") {
			t.Errorf("%q: %v", paths, err)
		}
	}
	if none, err := Load("", ""); err != nil || len(none.Providers) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}

func TestSettingsOfADirectoryAreInTheOrderOfItsFiles(t *testing.T) {
	bin, dir := binDir(t), t.TempDir()
	file(t, bin, "gcr", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(bin, "gcr"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, bin); err == nil || !strings.Contains(err.Error(), "has no files") {
		t.Errorf("empty directory: %v", err)
	}
	file(t, dir, "b.yaml", head+minimal)
	file(t, dir, "a.json", `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"gcr","apiVersion":"credentialprovider.kubelet.k8s.io/v1",
		"matchImages":["gcr.io"],"defaultCacheDuration":"0s","tokenAttributes":{"serviceAccountTokenAudience":"vault","cacheType":"Token","requireServiceAccount":true}}]}`)
	file(t, dir, "c.txt", "not read")
	s, err := Load(dir, bin)
	if err != nil || len(s.Providers) != 2 || s.Providers[0].Name != "gcr" || s.Providers[1].Name != "ecr" || !slices.Equal(s.Audiences(), []string{"vault"}) {
		t.Errorf("%+v, audiences %q, %v", s, s.Audiences(), err)
	}
}
