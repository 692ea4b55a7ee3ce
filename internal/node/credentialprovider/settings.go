package credentialprovider

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	configv1 "k8s.io/kubelet/config/v1"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/bounded"
)

const (
	// maxSettings bounds a file of the configuration, in bytes, maxFiles how many there
	// are, and maxProviders the plugins in all of them.
	maxSettings  = 1 << 20
	maxFiles     = 100
	maxProviders = 100
)

// Settings are the plugins of a node, in the order in which their logins are tried. The
// zero value has none.
type Settings struct {
	// BinDir has the programs, by the names of their providers.
	BinDir    string
	Providers []configv1.CredentialProvider
}

// Load reads the configuration at path, a file or a directory with files whose names end
// in .json, .yaml or .yml, and looks for the programs in binDir. Two empty paths have no
// plugins.
func Load(path, binDir string) (Settings, error) {
	switch {
	case path == "" && binDir == "":
		return Settings{}, nil
	case path == "":
		return Settings{}, errors.New("--image-credential-provider-bin-dir is given without --image-credential-provider-config, which says what the plugins are for")
	case binDir == "":
		return Settings{}, errors.New("--image-credential-provider-config is given without --image-credential-provider-bin-dir, where the plugins are")
	}
	files, err := filesAt(path)
	if err != nil {
		return Settings{}, err
	}
	all := Settings{BinDir: binDir}
	for _, file := range files {
		found, err := read(file)
		if err != nil {
			return Settings{}, fmt.Errorf("credential providers in %s: %w", file, err)
		}
		all.Providers = append(all.Providers, found...)
	}
	if err := validate(all.Providers).ToAggregate(); err != nil {
		return Settings{}, fmt.Errorf("credential providers in %s: %w", path, err)
	}
	for _, p := range all.Providers {
		if _, err := exec.LookPath(all.program(p.Name)); err != nil {
			return Settings{}, fmt.Errorf("credential provider %s: its program is not to be run: %w", p.Name, err)
		}
	}
	return all, nil
}

func (s Settings) program(name string) string { return filepath.Join(s.BinDir, name) }

// Audiences are those that plugins want tokens of service accounts for.
func (s Settings) Audiences() (all []string) {
	for _, p := range s.Providers {
		if t := p.TokenAttributes; t != nil && !slices.Contains(all, t.ServiceAccountTokenAudience) {
			all = append(all, t.ServiceAccountTokenAudience)
		}
	}
	return all
}

// filesAt are the files of a configuration, in the order of their names.
func filesAt(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(e.Name())) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	switch {
	case len(files) == 0:
		return nil, fmt.Errorf("%s has no files whose names end in .json, .yaml or .yml", path)
	case len(files) > maxFiles:
		return nil, fmt.Errorf("%s has %d files, and %d are read at most", path, len(files), maxFiles)
	}
	return files, nil
}

// read reads one file. Unknown and repeated fields are refused.
func read(file string) ([]configv1.CredentialProvider, error) {
	raw, err := bounded.Input(file, maxSettings)
	if err != nil {
		return nil, err
	}
	asJSON, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return nil, err
	}
	var config configv1.CredentialProviderConfig
	strict, err := strictjson.UnmarshalStrict(asJSON, &config)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, err
	}
	if version := configv1.SchemeGroupVersion.String(); config.APIVersion != version || config.Kind != kindOfSettings {
		return nil, fmt.Errorf("must begin with apiVersion: %s and kind: %s, but has apiVersion: %q and kind: %q", version, kindOfSettings, config.APIVersion, config.Kind)
	}
	return config.Providers, nil
}

const kindOfSettings = "CredentialProviderConfig"

// validate says what is wrong, in upstream's words.
func validate(all []configv1.CredentialProvider) field.ErrorList {
	path := field.NewPath("providers")
	if len(all) == 0 {
		return field.ErrorList{field.Required(path, "at least 1 item in plugins is required")}
	}
	if len(all) > maxProviders {
		return field.ErrorList{field.TooMany(path, len(all), maxProviders)}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range all {
		p := &all[i]
		if seen[p.Name] {
			errs = append(errs, field.Duplicate(path.Index(i).Child("name"), p.Name))
		}
		seen[p.Name] = true
		errs = append(errs, validateProvider(p, path.Index(i))...)
	}
	return errs
}
