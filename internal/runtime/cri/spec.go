package cri

// SandboxSpec is what a sandbox is made from. The same spec goes with every
// container of the sandbox.
type SandboxSpec struct {
	Name         string
	Namespace    string
	UID          string
	Attempt      uint32
	Hostname     string
	LogDir       string
	DNS          DNS
	Ports        []Port
	Labels       map[string]string
	Annotations  map[string]string
	CgroupParent string
	Sysctls      map[string]string
	Namespaces   Namespaces
	Security     SandboxSecurity
	// Resources is the sum over the pod, for runtimes that account a whole pod.
	Resources *Resources
	// RuntimeHandler names what runs the pod, by the runtime's configuration; empty is its
	// default. A runtime that does not know it refuses the sandbox.
	RuntimeHandler string
}

// DNS is a resolver configuration. When all is empty the runtime copies the host's.
type DNS struct {
	Servers  []string
	Searches []string
	Options  []string
}

// Port maps a port of the host to one of the pod.
type Port struct {
	Protocol      string // TCP, UDP or SCTP
	ContainerPort int32
	HostPort      int32
	HostIP        string
}

// Namespaces says which namespaces are the host's, and whether the containers of a
// pod share one PID namespace.
type Namespaces struct {
	HostNetwork bool
	HostPID     bool
	HostIPC     bool
	SharePID    bool
	// TargetID is the container whose processes this one shares, "" for none.
	TargetID string
}

// ProfileKind is the kind of a seccomp or AppArmor profile.
type ProfileKind int

// The kinds of security profiles. The zero value names none.
const (
	ProfileNone ProfileKind = iota
	ProfileRuntimeDefault
	ProfileUnconfined
	ProfileLocalhost
)

// Profile is a seccomp or AppArmor profile.
type Profile struct {
	Kind ProfileKind
	// Localhost, when Kind is ProfileLocalhost, is the name of an AppArmor profile, or
	// the path of a file with a seccomp profile, which the runtime reads as it is: it
	// must be one that internal/node/seccomp has laid down.
	Localhost string
}

// SandboxSecurity is the security context of a sandbox.
type SandboxSecurity struct {
	RunAsUser          *int64
	RunAsGroup         *int64
	SupplementalGroups []int64
	StrictGroups       bool
	Privileged         bool
	Seccomp            Profile
}

// EnvVar is one environment variable of a container.
type EnvVar struct {
	Name  string
	Value string
}

// Propagation is how mounts propagate between host and container.
type Propagation int

// The propagations of a mount.
const (
	PropagationPrivate Propagation = iota
	PropagationHostToContainer
	PropagationBidirectional
)

// Mount is a bind mount from the host into a container.
type Mount struct {
	HostPath          string
	ContainerPath     string
	ReadOnly          bool
	RecursiveReadOnly bool
	Propagation       Propagation
}

// Resources are a container's limits. Zero values set nothing, except that
// OOMScoreAdj is always set.
type Resources struct {
	CPUPeriod   int64 // microseconds
	CPUQuota    int64 // microseconds
	CPUShares   int64
	MemoryBytes int64
	OOMScoreAdj int64
}

// ContainerSecurity is the security context of a container.
type ContainerSecurity struct {
	RunAsUser          *int64
	RunAsGroup         *int64
	RunAsUsername      string
	SupplementalGroups []int64
	StrictGroups       bool
	Privileged         bool
	ReadOnlyRootFS     bool
	NoNewPrivileges    bool
	AddCapabilities    []string
	DropCapabilities   []string
	MaskedPaths        []string
	ReadonlyPaths      []string
	Seccomp            Profile
	AppArmor           Profile
	Namespaces         Namespaces
}

// ContainerSpec is what a container is made from.
type ContainerSpec struct {
	Name    string
	Attempt uint32
	// ImageRef is the image as the runtime resolved it, UserImage as the pod names it.
	ImageRef    string
	UserImage   string
	Command     []string
	Args        []string
	WorkingDir  string
	Env         []EnvVar
	Mounts      []Mount
	Labels      map[string]string
	Annotations map[string]string
	// StopSignal is what the container is stopped with, "" for the image's own. A runtime
	// that does not know it ignores it: Container.StopSignal tells.
	StopSignal string
	// LogPath is relative to the sandbox's LogDir.
	LogPath   string
	Stdin     bool
	StdinOnce bool
	TTY       bool
	Resources Resources
	Security  ContainerSecurity
}
