package cri

import "time"

// SandboxState is the state of a pod's sandbox.
type SandboxState int

// The states of a sandbox.
const (
	SandboxReady SandboxState = iota
	SandboxNotReady
)

// Sandbox is a pod's sandbox as the runtime reports it.
type Sandbox struct {
	ID          string
	Name        string
	Namespace   string
	UID         string
	Attempt     uint32
	State       SandboxState
	CreatedAt   time.Time
	Labels      map[string]string
	Annotations map[string]string
	// IPs are the pod's addresses, primary first. Only SandboxStatus fills them;
	// they are empty on the host's network.
	IPs []string
}

// ContainerState is the state of a container.
type ContainerState int

// The states of a container.
const (
	ContainerCreated ContainerState = iota
	ContainerRunning
	ContainerExited
	ContainerUnknown
)

// Container is a container as the runtime reports it. ListContainers leaves the
// fields from StartedAt on empty, ContainerStatus fills them.
type Container struct {
	ID          string
	SandboxID   string // only ListContainers fills it
	Name        string
	Attempt     uint32
	Image       string
	ImageRef    string
	State       ContainerState
	CreatedAt   time.Time
	Labels      map[string]string
	Annotations map[string]string

	StartedAt  time.Time
	FinishedAt time.Time
	ExitCode   int32
	Reason     string
	Message    string
	Mounts     []Mount
	LogPath    string
	// StopSignal is what the runtime stops the container with, "" where it does not tell.
	StopSignal string
}

// Filter selects sandboxes or containers by label; the zero value selects all.
type Filter struct {
	Labels map[string]string
}

// Image is an image that the runtime holds.
type Image struct {
	ID       string
	Tags     []string
	Digests  []string
	Size     uint64
	UID      *int64
	Username string
	Pinned   bool
}

// Status is how a runtime is and what it can.
type Status struct {
	Conditions []Condition
	// Features is nil where the runtime does not tell what it can, as those do not that
	// know of no features.
	Features *Features
	// Handlers are by what the runtime can run pods, in no order; none where it does not
	// tell.
	Handlers []Handler
}

// Features are what a runtime can.
type Features struct {
	// StrictGroups tells that it knows supplementalGroupsPolicy Strict; one that does not
	// would ignore it.
	StrictGroups bool
}

// Handler is one of the ways in which a runtime runs pods, "" being its default.
type Handler struct {
	Name string
	// RecursiveReadOnly and UserNamespaces tell whether it knows these.
	RecursiveReadOnly, UserNamespaces bool
}

// Condition is one condition of the runtime, RuntimeReady or NetworkReady.
type Condition struct {
	Type    string
	Status  bool
	Reason  string
	Message string
}

// The conditions that every runtime reports.
const (
	RuntimeReady = "RuntimeReady"
	NetworkReady = "NetworkReady"
)

// Version names the runtime, e.g. containerd 1.6.20.
type Version struct {
	Name    string
	Version string
}
