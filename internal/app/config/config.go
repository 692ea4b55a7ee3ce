package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/admission/podidentity"
	"laterna.dev/laterna/internal/admission/podsecurity"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/node/imagepull"
)

const (
	// APIVersion and Kind head a configuration file.
	APIVersion = "config.laterna.dev/v1alpha1"
	// Kind is the kind of a configuration file.
	Kind = "ServerConfiguration"
)

// Config says what `laterna up` and `laterna server` run. It is filled from flags
// and from the file that --config names; Default gives the rest.
type Config struct {
	metav1.TypeMeta `json:",inline"`

	// DataDir holds everything that outlives the process.
	DataDir string `json:"dataDir,omitempty"`
	// DiskReserve is how much of the disk is kept for the system itself, as a quantity
	// such as 64Mi; 0 keeps nothing, and empty a twentieth of the disk up to 64Mi.
	DiskReserve string `json:"diskReserve,omitempty"`
	// TestClock lets `laterna clock advance` move the system's clock.
	TestClock bool `json:"testClock,omitempty"`
	// Verbosity is the number given with -v.
	Verbosity int `json:"verbosity,omitempty"`

	Serving Serving `json:"serving,omitzero"`
	Store   Store   `json:"store,omitzero"`
	Tokens  Tokens  `json:"tokens,omitzero"`
	Network Network `json:"network,omitzero"`
	Node    Node    `json:"node,omitzero"`
	Audit   Audit   `json:"audit,omitzero"`

	PodSecurity PodSecurity `json:"podSecurity,omitzero"`
	PodIdentity PodIdentity `json:"podIdentity,omitzero"`
}

// Serving is where the API is served and what beside the API.
type Serving struct {
	Listen          string `json:"listen,omitempty"`
	PublicDiscovery bool   `json:"publicDiscovery"`
	// EnableSwaggerUI serves the page by which the API is explored with a browser.
	EnableSwaggerUI bool `json:"enableSwaggerUI"`
}

// Store names an etcd cluster that runs elsewhere; without servers the store
// runs inside the process. It says how values in either are encrypted, too.
type Store struct {
	EtcdServers  []string `json:"etcdServers,omitempty"`
	EtcdCAFile   string   `json:"etcdCAFile,omitempty"`
	EtcdCertFile string   `json:"etcdCertFile,omitempty"`
	EtcdKeyFile  string   `json:"etcdKeyFile,omitempty"`
	// EncryptionProviderConfig is a file in the form of k8s.io/apiserver.
	EncryptionProviderConfig string `json:"encryptionProviderConfig,omitempty"`
	EncryptionProviderReload bool   `json:"encryptionProviderConfigAutomaticReload,omitempty"`
}

// Tokens is how service account tokens are issued and checked.
type Tokens struct {
	Issuers       []string        `json:"serviceAccountIssuers,omitempty"`
	APIAudiences  []string        `json:"apiAudiences,omitempty"`
	MaxExpiration metav1.Duration `json:"serviceAccountMaxTokenExpiration,omitzero"`
	// IssuerOverlap is how long tokens of a former issuer are accepted; 0 refuses
	// them at once.
	IssuerOverlap    metav1.Duration `json:"serviceAccountIssuerOverlap"`
	JWKSURI          string          `json:"serviceAccountJWKSURI,omitempty"`
	ExtendExpiration bool            `json:"serviceAccountExtendTokenExpiration"`
	SigningAlgorithm string          `json:"signingAlgorithm,omitempty"`
	// Legacy makes a Secret with a token for every service account, which pods mount.
	Legacy bool `json:"legacyServiceAccountTokens,omitempty"`
	// LegacyCleanUpPeriod is how long such a Secret may be unused.
	LegacyCleanUpPeriod metav1.Duration `json:"legacyServiceAccountTokenCleanUpPeriod,omitzero"`
}

// Network is the pods' and services' network.
type Network struct {
	ClusterCIDR string `json:"clusterCIDR,omitempty"`
	// ServiceClusterIPRange is empty where it is to be chosen, see
	// internal/network/servicerange.
	ServiceClusterIPRange string `json:"serviceClusterIPRange,omitempty"`
	ClusterDomain         string `json:"clusterDomain,omitempty"`
}

// Node is the node agent of this process.
type Node struct {
	Enabled bool   `json:"enabled"`
	Name    string `json:"name,omitempty"`
	IP      string `json:"ip,omitempty"`
	// CRIEndpoint names a container runtime that somebody else runs; empty means
	// a private containerd of this data directory.
	CRIEndpoint string `json:"criEndpoint,omitempty"`
	// PodMaxPids is how many processes and threads a pod may have; -1 is any number.
	PodMaxPids int64 `json:"podMaxPids"`
	// EvictionHard are thresholds in the kubelet's grammar, EvictionTransition how long the
	// node says that it is short after it is not any more.
	EvictionHard       string          `json:"evictionHard"`
	EvictionTransition metav1.Duration `json:"evictionPressureTransitionPeriod"`
	Images             Images          `json:"images"`
}

// Images is how the node pulls and keeps images; names and meanings are the kubelet's.
type Images struct {
	MaxParallelPulls int `json:"maxParallelPulls"`
	// GCHighThreshold and GCLowThreshold are in percent.
	GCHighThreshold int `json:"gcHighThreshold"`
	GCLowThreshold  int `json:"gcLowThreshold"`
	// CredentialsVerification is one of the policies of KEP-2535, and
	// VerificationAllowlist the images that NeverVerifyAllowlistedImages takes.
	CredentialsVerification string   `json:"credentialsVerification"`
	VerificationAllowlist   []string `json:"verificationAllowlist,omitempty"`
	// CredentialProviderConfig is a file, or a directory with files, that says for which
	// images which program in CredentialProviderBinDir has logins.
	CredentialProviderConfig string `json:"credentialProviderConfig,omitempty"`
	CredentialProviderBinDir string `json:"credentialProviderBinDir,omitempty"`
}

// PodSecurity is how far the Pod Security Standards are kept in namespaces whose labels do
// not say, and who is exempt. A level may have a version, as in baseline:v1.30.
type PodSecurity struct {
	Enforce              string   `json:"enforce,omitempty"`
	Audit                string   `json:"audit,omitempty"`
	Warn                 string   `json:"warn,omitempty"`
	ExemptUsernames      []string `json:"exemptUsernames,omitempty"`
	ExemptNamespaces     []string `json:"exemptNamespaces,omitempty"`
	ExemptRuntimeClasses []string `json:"exemptRuntimeClasses,omitempty"`
}

// Settings is the same in the terms of the admission plugin.
func (c PodSecurity) Settings() podsecurity.Settings {
	return podsecurity.Settings{
		Enforce: c.Enforce, Audit: c.Audit, Warn: c.Warn,
		Usernames: c.ExemptUsernames, Namespaces: c.ExemptNamespaces, RuntimeClasses: c.ExemptRuntimeClasses,
	}
}

// PodIdentity is how pods are given IAM roles, where annotations of their service accounts
// do not say.
type PodIdentity struct {
	DefaultRegion string `json:"awsDefaultRegion,omitempty"`
	RegionalSTS   bool   `json:"awsSTSRegionalEndpoints"`
	// Account is the number of the account of roles that are given by name.
	Account string `json:"awsAccount,omitempty"`
	// ConfigMap is NAMESPACE/NAME, IdentitiesFile a file of the webhook's form.
	ConfigMap      string `json:"configMap,omitempty"`
	IdentitiesFile string `json:"containerCredentialsFile,omitempty"`
	// LocalSTS leads pods with a role to the STS of this system.
	LocalSTS bool `json:"awsLocalSTS"`
}

// Settings is the same in the terms of the admission plugin.
func (c PodIdentity) Settings() podidentity.Settings {
	return podidentity.Settings{
		Region: c.DefaultRegion, RegionalSTS: c.RegionalSTS, Account: c.Account,
		ConfigMap: c.ConfigMap, IdentitiesFile: c.IdentitiesFile, LocalSTS: c.LocalSTS,
	}
}

// Audit is the log of requests.
type Audit struct {
	PolicyFile string `json:"policyFile,omitempty"`
	// LogPath names a file, or - for standard output.
	LogPath string `json:"logPath,omitempty"`
	// LogMaxAge is in days, LogMaxSize in MiB.
	LogMaxAge     int `json:"logMaxAge"`
	LogMaxBackups int `json:"logMaxBackups"`
	LogMaxSize    int `json:"logMaxSize"`
}

// Default returns the configuration without flags and file.
func Default() Config {
	return Config{
		TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: Kind},
		DataDir:  datadir.Default(),
		Serving:  Serving{Listen: "127.0.0.1:6443", PublicDiscovery: true, EnableSwaggerUI: true},
		Tokens:   Tokens{ExtendExpiration: true, SigningAlgorithm: "RS256", IssuerOverlap: metav1.Duration{Duration: 24 * time.Hour}, LegacyCleanUpPeriod: metav1.Duration{Duration: 365 * 24 * time.Hour}},
		Network: Network{
			ClusterCIDR:   "10.244.0.0/16",
			ClusterDomain: "cluster.local",
		},
		Node: Node{Enabled: true, PodMaxPids: 4096, EvictionHard: eviction.DefaultThresholds, EvictionTransition: metav1.Duration{Duration: eviction.DefaultTransition}, Images: Images{
			MaxParallelPulls: imagepull.DefaultParallel, GCHighThreshold: imagepull.DefaultHigh, GCLowThreshold: imagepull.DefaultLow,
			CredentialsVerification: imagepull.NeverVerifyPreloadedImages,
		}},
		Audit: Audit{LogMaxAge: 366, LogMaxBackups: 100, LogMaxSize: 100}, // as k8s.io/apiserver

		PodSecurity: PodSecurity{Enforce: "privileged", Audit: "privileged", Warn: "privileged"},
	}
}

// Load sets in c what the YAML file at path says; what the file leaves out stays.
// Unknown, repeated and ill-typed fields are refused with their path.
func (c *Config) Load(path string) error {
	raw, err := bounded.Input(path, bounded.Document)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	if err := c.decode(raw); err != nil {
		return prefixEach("configuration "+path+": ", err)
	}
	return nil
}

// decode returns every strict error, joined.
func (c *Config) decode(raw []byte) error {
	asJSON, err := oneDocument(raw)
	if err != nil {
		return err
	}
	head := metav1.TypeMeta{}
	if err := json.Unmarshal(asJSON, &head); err != nil {
		return errors.New("is not a mapping of fields")
	}
	if head.APIVersion != APIVersion || head.Kind != Kind {
		return fmt.Errorf("must begin with apiVersion: %s and kind: %s, but has apiVersion: %q and kind: %q",
			APIVersion, Kind, head.APIVersion, head.Kind)
	}
	// The library that knows the path of an unknown field does not give that of a
	// value of the wrong type, and the other way round.
	if err := json.Unmarshal(asJSON, &Config{}); err != nil {
		return inPlace(err)
	}
	read := *c
	strict, err := strictjson.UnmarshalStrict(asJSON, &read)
	if err := errors.Join(append(strict, err)...); err != nil {
		return err
	}
	*c = read
	return nil
}

// oneDocument turns YAML into JSON; a second document would be lost, so it is refused.
func oneDocument(raw []byte) ([]byte, error) {
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	var found []byte
	for {
		doc, err := docs.Read()
		if err != nil {
			break // the end, as a reader of bytes has no other error
		}
		asJSON, err := yaml.YAMLToJSONStrict(doc)
		switch {
		case err != nil:
			return nil, errors.New("is not YAML: " + problem(err))
		case string(asJSON) == "null":
			continue // only comments
		case found != nil:
			return nil, errors.New("holds more than one document")
		}
		found = asJSON
	}
	if found == nil {
		return nil, errors.New("is empty")
	}
	return found, nil
}

// problem is what the YAML library says, without its own prefixes, in one line.
func problem(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return strings.TrimPrefix(strings.TrimPrefix(text, "yaml: "), "unmarshal errors: ")
}

// inPlace says where a value of the wrong type stands.
func inPlace(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" {
		// Values that decode themselves, and so are not told their path.
		return errors.New("tokens.serviceAccountMaxTokenExpiration, tokens.serviceAccountIssuerOverlap, tokens.legacyServiceAccountTokenCleanUpPeriod: want a duration such as 24h")
	}
	want := "text"
	switch wrong.Type.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.Struct, reflect.Map:
		want = "fields below it"
	case reflect.Slice:
		want = "a list"
	case reflect.Int:
		want = "a whole number"
	}
	return fmt.Errorf("%s: want %s, got %s", wrong.Field, want, wrong.Value)
}

// prefixEach puts prefix before every error of a join.
func prefixEach(prefix string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s%w", prefix, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s%w", prefix, e))
	}
	return errors.Join(errs...)
}
