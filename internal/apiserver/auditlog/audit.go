// Package auditlog is the audit log of the API server: its settings, its policy and where it
// is written.
//
// It owns the discretion of the log, which never shows what is confidential whatever the
// policy says. What is audited, and how events are written, is k8s.io/apiserver's.
package auditlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/natefinch/lumberjack.v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericserver "k8s.io/apiserver/pkg/server"
	auditlog "k8s.io/apiserver/plugin/pkg/audit/log"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/bounded"
)

// Config says what is logged, and where to. The zero value writes none.
type Config struct {
	// PolicyFile is the value of --audit-policy-file.
	PolicyFile string
	// LogPath is the value of --audit-log-path; "-" means Stdout.
	LogPath string
	// MaxAge in days, MaxBackups in files and MaxSize in MiB bound what is kept; 0
	// keeps all files, and 100 MiB in one.
	MaxAge, MaxBackups, MaxSize int
	// Stdout is required where LogPath is "-".
	Stdout io.Writer
}

// Apply adds the audit log to the library's configuration. confidential are the resources
// and subresources whose bodies are never logged.
func (a Config) Apply(c *genericserver.Config, confidential map[schema.GroupResource]bool) error {
	if a.PolicyFile == "" && a.LogPath == "" {
		return nil
	}
	rules, err := ReadPolicy(a.PolicyFile)
	if err != nil {
		return err
	}
	out, err := a.open()
	if err != nil {
		return err
	}
	c.AuditPolicyRuleEvaluator = discreet{policy.NewPolicyRuleEvaluator(rules), confidential}
	c.AuditBackend = auditlog.NewBackend(out, auditlog.FormatJson, auditv1.SchemeGroupVersion)
	return nil
}

// open returns where the log goes. A file that it makes is 0600, as are those that
// take its place when it has grown.
func (a Config) open() (io.Writer, error) {
	if a.LogPath == "-" {
		return a.Stdout, nil
	}
	if err := os.MkdirAll(filepath.Dir(a.LogPath), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the audit log: %w", err)
	}
	f, err := os.OpenFile(a.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	return &lumberjack.Logger{Filename: a.LogPath, MaxAge: a.MaxAge, MaxBackups: a.MaxBackups, MaxSize: a.MaxSize}, nil
}

// ReadPolicy reads a policy file. Unlike upstream it refuses unknown and repeated
// fields: a rule that loses a misspelt field says more than was meant.
func ReadPolicy(path string) (*auditinternal.Policy, error) {
	raw, err := bounded.Input(path, bounded.Document)
	if err != nil {
		return nil, fmt.Errorf("reading the audit policy: %w", err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(raw)
	if err == nil {
		var unknown []error
		if unknown, err = strictjson.UnmarshalStrict(asJSON, &auditv1.Policy{}); err == nil {
			err = errors.Join(unknown...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("audit policy %s: %s", path, oneLine(err))
	}
	rules, err := policy.LoadPolicyFromBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("audit policy %s: %s", path, oneLine(err))
	}
	return rules, nil
}

// oneLine is what a library says, without the beginnings that it shares with every
// other library.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "yaml: ", "json: ", "failed decoding: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// discreet is a policy that never has the bodies logged which hold tokens or the
// contents of Secrets, whatever the rules say: their requests are logged with metadata
// at most. Patches cannot be cleaned of what they hold, nor lists in a form that the
// client chose, so nothing is cut out of bodies: they are left out.
type discreet struct {
	audit.PolicyRuleEvaluator
	confidential map[schema.GroupResource]bool
}

func (d discreet) EvaluatePolicyRule(a authorizer.Attributes) audit.RequestAuditConfig {
	c := d.PolicyRuleEvaluator.EvaluatePolicyRule(a)
	if c.Level.GreaterOrEqual(auditinternal.LevelRequest) && d.hides(a) {
		c.Level = auditinternal.LevelMetadata
	}
	return c
}

// hides tells whether the bodies of a request can hold a token or the contents of a
// Secret.
func (d discreet) hides(a authorizer.Attributes) bool {
	r := schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}
	if d.confidential[r] {
		return true
	}
	r.Resource += "/" + a.GetSubresource()
	return d.confidential[r]
}

// Validate checks the values of the audit log's flags and reads the policy.
func Validate(a Config) error {
	switch {
	case a.PolicyFile == "" && a.LogPath == "":
		return nil
	case a.PolicyFile == "":
		return errors.New("without a policy nothing would be logged: name one with --audit-policy-file")
	case a.LogPath == "":
		return errors.New("a policy alone logs nothing: say where to with --audit-log-path (- is standard output)")
	case a.MaxAge < 0 || a.MaxBackups < 0 || a.MaxSize < 0:
		return errors.New("--audit-log-maxage, --audit-log-maxbackup and --audit-log-maxsize must not be negative")
	}
	_, err := ReadPolicy(a.PolicyFile)
	return err
}
