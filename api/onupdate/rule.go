package onupdate

import (
	"path"
	"slices"
	"time"
)

// The limits of an annotation.
const (
	// MaxText is the size of an annotation in bytes.
	MaxText = 32 << 10
	// MaxRules is how many rules a pod may have, MaxVolumes how many volumes a rule.
	MaxRules, MaxVolumes = 64, 64
	// MaxArguments is how many arguments a command may have, MaxArgument how many
	// bytes one of them.
	MaxArguments, MaxArgument = 128, 4096
	// MinTimeout and MaxTimeout bound the time of a command; it is in whole seconds,
	// as container runtimes count.
	MinTimeout, MaxTimeout = time.Second, 5 * time.Minute
	// DefaultTimeout is a command's time when the rule names none.
	DefaultTimeout = 10 * time.Second
)

// Rule says what runs in a container when one of some volumes is updated. Exactly one
// of Signal, Exec, Restart and Check is set.
type Rule struct {
	// Volumes are names of volumes of the pod.
	Volumes []string
	// Container is the name of a container of the pod.
	Container string

	// Signal is sent to the container's main process after the update. It has the
	// prefix SIG.
	Signal string
	// Exec is run in the container after the update.
	Exec []string
	// Restart stops the container after the update, within the pod's grace period, and
	// starts it again whatever it ends with.
	Restart bool
	// Check is run in the container before the update, which is dropped when the
	// command fails; see CheckCommand.
	Check []string
	// Timeout bounds Exec and Check; Parse always sets it for them.
	Timeout time.Duration

	at places
}

// places is where the parts of a rule are in the annotation.
type places struct {
	rule, container, action place
	volumes                 []place
}

// String is the rule's action in a few words, without arguments: "signal SIGHUP",
// "exec nginx", "restart", "check nginx".
func (r Rule) String() string {
	switch {
	case r.Signal != "":
		return "signal " + r.Signal
	case len(r.Exec) > 0:
		return "exec " + path.Base(r.Exec[0])
	case r.Restart:
		return "restart"
	case len(r.Check) > 0:
		return "check " + path.Base(r.Check[0])
	}
	return "nothing"
}

// Equal tells whether two rules say the same, wherever they stand in an annotation.
func (r Rule) Equal(o Rule) bool {
	return slices.Equal(r.Volumes, o.Volumes) && r.Container == o.Container && r.Signal == o.Signal && r.Restart == o.Restart &&
		slices.Equal(r.Exec, o.Exec) && slices.Equal(r.Check, o.Check) && r.Timeout == o.Timeout
}

// IsCheck tells whether the rule runs before the update.
func (r Rule) IsCheck() bool { return len(r.Check) > 0 }
