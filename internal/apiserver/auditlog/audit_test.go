package auditlog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/apiserver/auditlog"
)

func TestAuditPoliciesThatAreRefused(t *testing.T) {
	for want, policy := range map[string]string{
		`unknown field "rules[0].levels"`:                              "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- levels: None\n",
		`key "kind" already set`:                                       "apiVersion: audit.k8s.io/v1\nkind: Policy\nkind: Policy\n",
		`loaded illegal policy with 0 rules`:                           "apiVersion: audit.k8s.io/v1\nkind: Policy\n",
		`no kind "Policy" is registered for version "audit.k8s.io/v9"`: "apiVersion: audit.k8s.io/v9\nkind: Policy\nrules: [{level: None}]\n",
		`rules[0].level: Unsupported value: "Loud"`:                    "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Loud}]\n",
		`did not find expected`:                                        "apiVersion: [\n",
	} {
		file := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := auditlog.ReadPolicy(file)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "audit policy "+file+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if _, err := auditlog.ReadPolicy("/nowhere/policy.yaml"); err == nil || err.Error() != "reading the audit policy: open /nowhere/policy.yaml: no such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestAuditFlagsBelongTogether(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]auditlog.Config{
		"":                      {PolicyFile: file, LogPath: "-"},
		"--audit-policy-file":   {LogPath: "-"},
		"--audit-log-path":      {PolicyFile: file},
		"must not be negative":  {PolicyFile: file, LogPath: "-", MaxBackups: -1},
		"reading the audit pol": {PolicyFile: file + "x", LogPath: "-"},
	} {
		if err := auditlog.Validate(c); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	if err := auditlog.Validate(auditlog.Config{}); err != nil {
		t.Error(err)
	}
}
