package podsecurity

import (
	"strings"

	admissionapi "k8s.io/pod-security-admission/admission/api"
	"k8s.io/pod-security-admission/admission/api/validation"
	"k8s.io/pod-security-admission/api"
)

// apiVersion is the version of the API, which counts say of newer levels that they are
// of the future.
var apiVersion = api.MajorMinorVersion(1, 37)

// Settings are the defaults of the cluster and who is exempt from the checks, as in
// upstream's PodSecurityConfiguration. The zero value checks what namespaces ask for.
type Settings struct {
	// Enforce, Audit and Warn are what holds in namespaces without such a label: a level
	// (privileged, baseline or restricted), and after a colon the version that it is
	// of, v1.N or latest. Empty means privileged.
	Enforce, Audit, Warn string
	// Requests of these users, in these namespaces, and for pods of these runtime
	// classes are not checked.
	Usernames, Namespaces, RuntimeClasses []string
}

// Validate returns what is wrong with the settings, in upstream's words.
func (s Settings) Validate() error {
	_, err := s.configuration()
	return err
}

func (s Settings) configuration() (*admissionapi.PodSecurityConfiguration, error) {
	c := &admissionapi.PodSecurityConfiguration{Exemptions: admissionapi.PodSecurityExemptions{
		Usernames: s.Usernames, Namespaces: s.Namespaces, RuntimeClasses: s.RuntimeClasses,
	}}
	c.Defaults.Enforce, c.Defaults.EnforceVersion = parts(s.Enforce)
	c.Defaults.Audit, c.Defaults.AuditVersion = parts(s.Audit)
	c.Defaults.Warn, c.Defaults.WarnVersion = parts(s.Warn)
	return c, validation.ValidatePodSecurityConfiguration(c).ToAggregate()
}

// parts splits a level from its version.
func parts(s string) (level, version string) {
	if s == "" {
		return string(api.LevelPrivileged), api.VersionLatest
	}
	level, version, found := strings.Cut(s, ":")
	if !found {
		version = api.VersionLatest
	}
	return level, version
}
