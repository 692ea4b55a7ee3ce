package registration

import (
	"context"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletapis "k8s.io/kubelet/pkg/apis"

	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/nodefields"
)

// maxImages is how many images the status lists.
const maxImages = 50

// build returns the node as it should be.
func (r *Registrar) build(ctx context.Context) *corev1.Node {
	runtime := r.cfg.Runtime(ctx)
	r.answers = runtime.Answers
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: r.cfg.NodeName, Labels: r.labels(), Annotations: with(nil, r.cfg.Annotations)},
		Status: corev1.NodeStatus{
			Capacity:        r.capacity(),
			Allocatable:     r.Allocatable(),
			Addresses:       r.addresses(),
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: r.cfg.Port}},
			NodeInfo:        r.nodeInfo(runtime),
			Conditions:      r.conditions(runtime),
			Features:        runtime.Features,
			RuntimeHandlers: runtime.Handlers,
		},
	}
	if images, err := r.cfg.Images(ctx); err == nil {
		node.Status.Images = images[:min(len(images), maxImages)]
	}
	return node
}

func (r *Registrar) labels() map[string]string {
	out := map[string]string{
		corev1.LabelHostname:   r.cfg.NodeName,
		corev1.LabelOSStable:   r.facts.OS,
		corev1.LabelArchStable: r.facts.Arch,
		// What old manifests select by.
		kubeletapis.LabelOS:   r.facts.OS,
		kubeletapis.LabelArch: r.facts.Arch,
	}
	maps.Copy(out, r.cfg.Labels)
	return out
}

func (r *Registrar) addresses() []corev1.NodeAddress {
	var out []corev1.NodeAddress
	for _, ip := range r.cfg.IPs {
		out = append(out, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return append(out, corev1.NodeAddress{Type: corev1.NodeHostName, Address: r.cfg.NodeName})
}

func (r *Registrar) capacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(r.facts.CPUs), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(r.facts.Memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(r.facts.Disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(r.cfg.MaxPods, resource.DecimalSI),
	}
}

// Allocatable is what pods may use: the capacity less what the node needs itself.
func (r *Registrar) Allocatable() corev1.ResourceList {
	out := r.capacity()
	out[corev1.ResourceMemory] = *resource.NewQuantity(max(r.facts.Memory-r.cfg.MemoryReserve(r.facts.Memory), 0), resource.BinarySI)
	out[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(r.facts.Disk/10*9, resource.DecimalSI)
	return out
}

func (r *Registrar) nodeInfo(runtime Runtime) corev1.NodeSystemInfo {
	swap := r.facts.Swap
	return corev1.NodeSystemInfo{
		MachineID:               r.facts.MachineID,
		SystemUUID:              r.facts.SystemUUID,
		BootID:                  r.facts.BootID,
		KernelVersion:           r.facts.Kernel,
		OSImage:                 r.facts.OSImage,
		ContainerRuntimeVersion: runtime.Version,
		KubeletVersion:          r.cfg.Version,
		OperatingSystem:         r.facts.OS,
		Architecture:            r.facts.Arch,
		Swap:                    &corev1.NodeSwapStatus{Capacity: &swap},
	}
}

// conditions have upstream's reasons and messages; times are filled by merge.
func (r *Registrar) conditions(runtime Runtime) []corev1.NodeCondition {
	diskShort, err := machine.DiskShort(r.cfg.Root)
	if err != nil {
		r.cfg.Log.Warn("disk not measured", "error", err)
	}
	memoryShort, pidsShort := r.cfg.Pressed()
	return []corev1.NodeCondition{
		pressure(corev1.NodeMemoryPressure, memoryShort,
			"KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
			"KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		pressure(corev1.NodeDiskPressure, diskShort,
			"KubeletHasDiskPressure", "kubelet has disk pressure",
			"KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		pressure(corev1.NodePIDPressure, pidsShort,
			"KubeletHasInsufficientPID", "kubelet has insufficient PID available",
			"KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		ready(runtime),
	}
}

func pressure(t corev1.NodeConditionType, short bool, badReason, badMessage, goodReason, goodMessage string) corev1.NodeCondition {
	if short {
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: badReason, Message: badMessage}
	}
	return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: goodReason, Message: goodMessage}
}

func ready(runtime Runtime) corev1.NodeCondition {
	if len(runtime.NotReady) > 0 {
		message := strings.Join(runtime.NotReady, ", ")
		if len(runtime.NotReady) > 1 {
			message = "[" + message + "]"
		}
		return corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: message}
	}
	return corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		Reason: "KubeletReady", Message: "kubelet is posting ready status",
	}
}

// merge writes what this agent owns into a status and leaves foreign conditions, extended
// resources and attached volumes as they are.
func merge(into *corev1.NodeStatus, want corev1.NodeStatus, answers bool, now metav1.Time) {
	old := into.Conditions
	into.Conditions = nil
	for _, c := range want.Conditions {
		c.LastHeartbeatTime, c.LastTransitionTime = now, now
		for _, o := range old {
			if o.Type == c.Type && o.Status == c.Status && !o.LastTransitionTime.IsZero() {
				c.LastTransitionTime = o.LastTransitionTime
			}
		}
		into.Conditions = append(into.Conditions, c)
	}
	for _, o := range old {
		if !owned(want.Conditions, o.Type) {
			into.Conditions = append(into.Conditions, o)
		}
	}
	into.Capacity, into.Allocatable = withExtended(want.Capacity, into.Capacity), withExtended(want.Allocatable, into.Capacity)
	into.Addresses, into.DaemonEndpoints = want.Addresses, want.DaemonEndpoints
	into.NodeInfo, into.Images = want.NodeInfo, want.Images
	if answers { // else what the runtime can stays known
		into.Features, into.RuntimeHandlers = want.Features, want.RuntimeHandlers
	}
}

// withExtended adds to what a node has itself the extended resources that others have
// written into its capacity: pods may use all of them.
func withExtended(own, capacity corev1.ResourceList) corev1.ResourceList {
	out := maps.Clone(own)
	for name, amount := range capacity {
		if nodefields.Extended(name) {
			out[name] = amount
		}
	}
	return out
}

func owned(conditions []corev1.NodeCondition, t corev1.NodeConditionType) bool {
	for _, c := range conditions {
		if c.Type == t {
			return true
		}
	}
	return false
}
