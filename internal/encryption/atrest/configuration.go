package atrest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

// reloadPause is the time between two looks at a configuration that is reloaded, as in
// Kubernetes.
const reloadPause = time.Minute

// ConfigurationConfig is what a Configuration is made of. Every field is required.
type ConfigurationConfig struct {
	// File is an EncryptionConfiguration (apiserver.config.k8s.io/v1).
	File string
	// Reload tells whether changes of the file are taken over by Run.
	Reload bool
	// Server names this server to KMS plugins and metrics.
	Server string
	Clock  clock.Wall
	Log    *slog.Logger
}

// Configuration says how API objects are encrypted, as a file in upstream's form does.
// It is safe for concurrent use.
type Configuration struct {
	config ConfigurationConfig
	rules  atomic.Pointer[rules]
}

// rules are what the file said when it was read.
type rules struct {
	*encryptionconfig.EncryptionConfiguration
	end context.CancelFunc // of what KMS plugins need
}

// LoadConfiguration reads the file. ctx bounds the connections to KMS plugins.
func LoadConfiguration(ctx context.Context, c ConfigurationConfig) (*Configuration, error) {
	r, err := loadRules(ctx, c)
	if err != nil {
		return nil, err
	}
	all := &Configuration{config: c}
	all.rules.Store(r)
	return all, nil
}

// ValidateConfiguration reads a file as LoadConfiguration does, but does not wait for
// KMS plugins.
func ValidateConfiguration(ctx context.Context, file string) error {
	ctx, end := context.WithCancel(ctx)
	end()
	_, err := loadRules(ctx, ConfigurationConfig{File: file})
	return err
}

// ValidateFlags checks the values of --encryption-provider-config and of
// --encryption-provider-config-automatic-reload, and reads the file.
func ValidateFlags(ctx context.Context, file string, reload bool) error {
	switch {
	case file == "" && reload:
		return errors.New("there is no file to reload: name one")
	case file == "":
		return nil
	}
	return ValidateConfiguration(ctx, file)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func loadRules(ctx context.Context, c ConfigurationConfig) (*rules, error) {
	if err := checkForm(c.File); err != nil {
		return nil, fmt.Errorf("encryption provider configuration %s: %w", c.File, err)
	}
	ctx, end := context.WithCancel(ctx)
	read, err := encryptionconfig.LoadEncryptionConfig(ctx, c.File, c.Reload, c.Server)
	if err != nil {
		end()
		text := strings.TrimPrefix(strings.TrimPrefix(oneLine(err), "error while parsing file: "), "error while building transformers: ")
		return nil, fmt.Errorf("encryption provider configuration %s: %s", c.File, text)
	}
	return &rules{read, end}, nil
}

// checkForm refuses what is not a configuration, and unknown and repeated fields, in
// words that are shorter than the library's.
func checkForm(file string) error {
	data, err := bounded.File(file, bounded.Document)
	if err != nil {
		return errors.Unwrap(err) // the path is known
	}
	read := &apiserverv1.EncryptionConfiguration{}
	if err := yaml.UnmarshalStrict(data, read); err != nil {
		text := oneLine(err)
		for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "json: ", "yaml: "} {
			text = strings.TrimPrefix(text, prefix)
		}
		return errors.New(text)
	}
	if want := apiserverv1.SchemeGroupVersion.String(); read.APIVersion != want || read.Kind != "EncryptionConfiguration" {
		return fmt.Errorf("must begin with apiVersion: %s and kind: EncryptionConfiguration, but has apiVersion: %q and kind: %q", want, read.APIVersion, read.Kind)
	}
	return nil
}

// Run takes changes of the file over until ctx ends, if they are to be. A file that
// cannot be read changes nothing.
func (c *Configuration) Run(ctx context.Context) {
	if !c.config.Reload {
		return
	}
	ticker := c.config.Clock.NewTicker(reloadPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			c.reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Configuration) reload(ctx context.Context) {
	old := c.rules.Load()
	hash, err := encryptionconfig.GetEncryptionConfigHash(c.config.File)
	if err == nil && hash == old.EncryptionFileContentHash {
		return
	}
	var next *rules
	if err == nil {
		next, err = loadRules(ctx, c.config)
	}
	if err != nil {
		c.config.Log.Error("the encryption provider configuration cannot be applied, the former one stays in force", "file", c.config.File, "error", err)
		return
	}
	c.rules.Store(next)
	c.config.Log.Info("the encryption provider configuration was applied", "file", c.config.File)
	go func() { // requests that began under the old rules still need their plugins
		defer old.end()
		wait.Pause(ctx, c.config.Clock, old.KMSCloseGracePeriod)
	}()
}

// Names tells whether the file says how a resource is encrypted.
func (r *rules) names(resource schema.GroupResource) bool {
	for _, rule := range []schema.GroupResource{resource, {Group: resource.Group, Resource: "*"}, {Group: "*", Resource: "*"}} {
		if r.Transformers[rule] != nil {
			return true
		}
	}
	return false
}

// Name implements healthz.HealthChecker.
func (c *Configuration) Name() string { return "kms-providers" }

// Check implements healthz.HealthChecker: it fails when a KMS plugin does.
func (c *Configuration) Check(r *http.Request) error {
	for _, check := range c.rules.Load().HealthChecks {
		if err := check.Check(r); err != nil {
			return err
		}
	}
	return nil
}

var _ healthz.HealthChecker = &Configuration{}

// Objects encrypts the objects of a resource as the file says; what it says nothing of,
// the box does if sealed is true, and else nobody. Values that the box has sealed can
// always be read, and are encrypted as the file says when they are next written.
func (c *Configuration) Objects(resource schema.GroupResource, b *Box, sealed bool) value.Transformer {
	t := ruled{c, b, resource, identity.NewEncryptCheckTransformer()}
	if sealed {
		t.unnamed = b.Transformer()
	}
	return t
}

type ruled struct {
	configuration *Configuration
	box           *Box
	resource      schema.GroupResource
	unnamed       value.Transformer
}

func (r ruled) now() value.Transformer {
	now := r.configuration.rules.Load()
	if !now.names(r.resource) {
		return r.unnamed
	}
	return encryptionconfig.StaticTransformers(now.Transformers).TransformerForResource(r.resource)
}

// TransformFromStorage implements value.Transformer.
func (r ruled) TransformFromStorage(ctx context.Context, data []byte, at value.Context) ([]byte, bool, error) {
	plain, stale, err := r.now().TransformFromStorage(ctx, data, at)
	if err == nil {
		return plain, stale, nil
	}
	if _, ours := r.box.SealedWith(ctx, string(at.AuthenticatedData()), data); !ours {
		return nil, false, err
	}
	plain, _, err = r.box.Transformer().TransformFromStorage(ctx, data, at)
	return plain, true, err
}

// TransformToStorage implements value.Transformer.
func (r ruled) TransformToStorage(ctx context.Context, data []byte, at value.Context) ([]byte, error) {
	return r.now().TransformToStorage(ctx, data, at)
}
