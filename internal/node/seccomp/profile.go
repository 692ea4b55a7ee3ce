package seccomp

import (
	"encoding/json"
	"errors"
	"regexp"
)

// profile is what a runtime reads of a profile: linux.seccomp of the OCI runtime
// specification, as far as its values are words.
type profile struct {
	DefaultAction string   `json:"defaultAction"`
	Architectures []string `json:"architectures"`
	Flags         []string `json:"flags"`
	Syscalls      []struct {
		Names  []string `json:"names"`
		Action string   `json:"action"`
		Args   []struct {
			Op string `json:"op"`
		} `json:"args"`
	} `json:"syscalls"`
}

// A runtime quotes what it does not know, so nothing but words of these forms reaches it.
var (
	actions       = regexp.MustCompile(`^SCMP_ACT_[A-Z_]{1,32}$`)
	architectures = regexp.MustCompile(`^SCMP_ARCH_[A-Z0-9_]{1,32}$`)
	flags         = regexp.MustCompile(`^SECCOMP_FILTER_FLAG_[A-Z_]{1,32}$`)
	operators     = regexp.MustCompile(`^SCMP_CMP_[A-Z_]{1,32}$`)
	calls         = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)
)

// check tells why raw is no profile, without any of what is in it.
func check(raw []byte) error {
	var p profile
	if err := json.Unmarshal(raw, &p); err != nil {
		return errors.New("it is not JSON of the form that the OCI runtime specification has for linux.seccomp")
	}
	// Runtimes take a profile without one for none at all.
	if p.DefaultAction == "" {
		return errors.New("it has no defaultAction")
	}
	if !actions.MatchString(p.DefaultAction) {
		return errors.New("its defaultAction is unknown")
	}
	if !each(p.Architectures, architectures) {
		return errors.New("architectures names an unknown architecture")
	}
	if !each(p.Flags, flags) {
		return errors.New("flags names an unknown flag")
	}
	for _, call := range p.Syscalls {
		if !each(call.Names, calls) {
			return errors.New("syscalls has a name that cannot be a system call's")
		}
		if !actions.MatchString(call.Action) {
			return errors.New("syscalls has an unknown action")
		}
		for _, arg := range call.Args {
			if !operators.MatchString(arg.Op) {
				return errors.New("syscalls has an unknown operator")
			}
		}
	}
	return nil
}

func each(words []string, form *regexp.Regexp) bool {
	for _, word := range words {
		if !form.MatchString(word) {
			return false
		}
	}
	return true
}
