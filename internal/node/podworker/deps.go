package podworker

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/containerfiles"
	"laterna.dev/laterna/internal/node/hook"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/probe"
	"laterna.dev/laterna/internal/node/resize"
	"laterna.dev/laterna/internal/node/statuswriter"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/freshpath"
	"laterna.dev/laterna/internal/volumes/objects"
)

// Deps is what workers stand on; one value serves all of a node. All fields are required.
// Everything in it may be called concurrently.
type Deps struct {
	Node    Node
	Runtime Runtime
	// Stop stops a container as Runtime does, with the signal that its pod wants.
	Stop        func(ctx context.Context, c cri.Container, grace time.Duration) error
	Network     Network
	Inventory   Inventory
	Images      Images
	Groups      Groups
	Resizes     Resizes
	Volumes     Volumes
	SubPaths    SubPaths
	Updates     Updates
	Projections Projections
	Objects     Objects
	Probes      Probes
	Hooks       Hooks
	// Pods speaks to the API about the pods of a namespace.
	Pods func(namespace string) Pods
	// Services are all services; they are shared: read only.
	Services func() []*corev1.Service
	Events   imagepull.Events
	// Logs is the directory of all pod logs.
	Logs *os.Root
	// Turn waits until a sandbox may be made, or until ctx ends; done gives the turn up.
	Turn func(ctx context.Context) (done func(), ok bool)
	// Handler returns what runs pods of a RuntimeClass, by the runtime's configuration.
	Handler func(ctx context.Context, class string) (string, error)
	// NoClusterDNS tells that a pod wants the cluster's DNS, which there is none of.
	NoClusterDNS func()

	// Clock is the agent's: back-offs and deadlines follow it.
	Clock clock.API
	// Wall is real time: time stamps and grace periods follow it.
	Wall clock.Wall
	Log  *slog.Logger
}

// Node is what workers must know of their node.
type Node struct {
	// IPs are the node's addresses, primary first.
	IPs []string
	// ClusterDomain and ClusterDNS are those of the cluster; the latter is not valid where
	// the node has no cluster DNS.
	ClusterDomain string
	ClusterDNS    netip.Addr
	// Instance marks the containers of this data directory, which is Root.
	Instance, Root string
	// LogRoot is the path of Deps.Logs.
	LogRoot string
	// Runtime is the name of the container runtime, the scheme of container IDs.
	Runtime string
	// Memory is how much the machine has, in bytes.
	Memory int64
	// Allocatable is what pods may use of the node.
	Allocatable func() corev1.ResourceList
}

// Runtime is the container runtime, see cri.Client.
type Runtime interface {
	SandboxRuntime
	ContainerRuntime
}

// SandboxRuntime makes and ends sandboxes.
type SandboxRuntime interface {
	ListSandboxes(ctx context.Context, f cri.Filter) ([]cri.Sandbox, error)
	SandboxStatus(ctx context.Context, id string) (cri.Sandbox, error)
	RunSandbox(ctx context.Context, spec *cri.SandboxSpec) (string, error)
	StopSandbox(ctx context.Context, id string) error
	RemoveSandbox(ctx context.Context, id string) error
}

// ContainerRuntime makes and ends containers.
type ContainerRuntime interface {
	ListContainers(ctx context.Context, f cri.Filter) ([]cri.Container, error)
	ContainerStatus(ctx context.Context, id string) (cri.Container, error)
	CreateContainer(ctx context.Context, sandboxID string, spec *cri.ContainerSpec, sandbox *cri.SandboxSpec) (string, error)
	StartContainer(ctx context.Context, id string) error
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	RemoveContainer(ctx context.Context, id string) error
}

// Network is the pod network.
type Network interface {
	// Connected binds a sandbox that was just made to the addresses and ports that it was
	// given. The notes are what the pod's owner may not expect of it.
	Connected(ctx context.Context, sandbox string) (notes []string, err error)
	// Disconnected takes back what sandboxes that were stopped had.
	Disconnected(ctx context.Context) error
}

// ForeignNetwork is a network that is somebody else's to look after.
type ForeignNetwork struct{}

// Connected implements Network.
func (ForeignNetwork) Connected(context.Context, string) ([]string, error) { return nil, nil }

// Disconnected implements Network.
func (ForeignNetwork) Disconnected(context.Context) error { return nil }

// Inventory knows whose what is on the runtime.
type Inventory interface {
	Own(id string, uid types.UID)
	Disown(id string)
	// Of selects what a pod has on the runtime.
	Of(uid types.UID) cri.Filter
}

// Probes asks containers how they are, see probe.Prober.
type Probes interface {
	Watch(c probe.Container, to probe.Sink) *probe.Watch
	// Forget drops what was counted of a pod that is gone.
	Forget(pod types.UID)
}

// Hooks runs hooks of containers, see hook.Runner.
type Hooks interface {
	Run(ctx context.Context, c hook.Container, h *corev1.LifecycleHandler) (note string, err error)
}

// Images finds and pulls images, see imagepull.Getter.
type Images interface {
	Get(ctx context.Context, r imagepull.Request) imagepull.Answer
}

// Groups names and removes the control groups of pods.
type Groups interface {
	Pod(uid types.UID) string
	RemovePod(uid types.UID) error
}

// Resizes knows what pods are allocated, see resize.Ledger.
type Resizes interface {
	Add(pod *corev1.Pod)
	Forget(uid types.UID)
	View(pod *corev1.Pod) *corev1.Pod
	Told(uid types.UID) (conditions []corev1.PodCondition, actual resize.Amounts)
	MakeGroup(pod *corev1.Pod) error
	Starting(uid types.UID, c *corev1.Container)
	Restarting(uid types.UID) map[string]string
	Apply(ctx context.Context, pod *corev1.Pod, containers []cri.Container) (restart []cri.Container, pause time.Duration)
}

// Volumes publishes the volumes of pods and keeps them fresh.
type Volumes interface {
	containerfiles.Volumes
	// Setup returns when every volume of the pod is published, or with ctx's error.
	// It may be called again. It records FailedMount events itself.
	Setup(ctx context.Context, pod *corev1.Pod) error
	// MountImages pulls and mounts the images that a container has volumes of. missing is
	// why one is not there.
	MountImages(ctx context.Context, r imagepull.Request) (missing *imagepull.Answer)
	// Sync tells that the pod's labels or annotations have changed.
	Sync(pod *corev1.Pod)
	// ReadFile reads a file of an emptyDir volume; the error is fs.ErrNotExist when
	// there is none.
	ReadFile(uid types.UID, volume, path string, limit int64) ([]byte, error)
	// Teardown removes the pod's directory with all its volumes.
	Teardown(ctx context.Context, uid types.UID) error
}

// SubPaths lets subPaths follow updates in running containers.
type SubPaths interface {
	// Started brings a container up to date that runs since its mounts were made.
	// looked is false when it must be called again.
	Started(ctx context.Context, pod *corev1.Pod, c freshpath.Container) (looked bool)
	Forget(uid types.UID)
}

// Updates carries out what pods ask for when a volume changes.
type Updates interface {
	// Sync tells that the pod's annotations have changed.
	Sync(pod *corev1.Pod)
	Forget(uid types.UID)
}

// Projections tells the API what pods have loaded.
type Projections interface {
	// Add has it told from now on; more than once does no harm.
	Add(pod *corev1.Pod)
	Remove(ctx context.Context, uid types.UID)
}

// Objects reads ConfigMaps and Secrets.
type Objects interface {
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	// Acquire calls changed at every change of the object until release.
	Acquire(key objects.Key, changed func()) (release func())
}

// Pods reads, reports about and removes the pods of a namespace.
type Pods interface {
	statuswriter.Pods
	Delete(ctx context.Context, name string, o metav1.DeleteOptions) error
}
