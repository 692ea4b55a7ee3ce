package cri

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RunSandbox makes and starts a sandbox with its network and returns its ID.
func (c *Client) RunSandbox(ctx context.Context, spec *SandboxSpec) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sandboxTimeout)
	defer cancel()
	r, err := c.runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: sandboxConfig(spec), RuntimeHandler: spec.RuntimeHandler})
	if err != nil {
		return "", callError("running sandbox", err)
	}
	return r.PodSandboxId, nil
}

// StopSandbox kills what runs in the sandbox and takes its network down. It may be
// called again, also for a sandbox that is gone.
func (c *Client) StopSandbox(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, sandboxTimeout)
	defer cancel()
	_, err := c.runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	return ignoreNotFound("stopping sandbox", err)
}

// RemoveSandbox removes the sandbox with all its containers. It may be called again.
func (c *Client) RemoveSandbox(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, sandboxTimeout)
	defer cancel()
	_, err := c.runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	return ignoreNotFound("removing sandbox", err)
}

// SandboxStatus returns a sandbox with its addresses, or an error that wraps ErrNotFound.
func (c *Client) SandboxStatus(ctx context.Context, id string) (Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
	if err != nil {
		return Sandbox{}, callError("asking for a sandbox's status", err)
	}
	s := r.GetStatus()
	out := sandbox(s.GetId(), s.GetMetadata(), s.GetState(), s.GetCreatedAt(), s.GetLabels(), s.GetAnnotations())
	if ip := s.GetNetwork().GetIp(); ip != "" {
		out.IPs = append(out.IPs, ip)
	}
	for _, ip := range s.GetNetwork().GetAdditionalIps() {
		out.IPs = append(out.IPs, ip.GetIp())
	}
	return out, nil
}

// ListSandboxes returns the sandboxes that match, in no order.
func (c *Client) ListSandboxes(ctx context.Context, f Filter) ([]Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	filter := &runtimeapi.PodSandboxFilter{LabelSelector: f.Labels}
	r, err := c.runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: filter})
	if err != nil {
		return nil, callError("listing sandboxes", err)
	}
	out := make([]Sandbox, 0, len(r.Items))
	for _, s := range r.Items {
		out = append(out, sandbox(s.Id, s.Metadata, s.State, s.CreatedAt, s.Labels, s.Annotations))
	}
	return out, nil
}

func sandbox(id string, meta *runtimeapi.PodSandboxMetadata, state runtimeapi.PodSandboxState, created int64, labels, annotations map[string]string) Sandbox {
	out := Sandbox{
		ID: id, Name: meta.GetName(), Namespace: meta.GetNamespace(), UID: meta.GetUid(), Attempt: meta.GetAttempt(),
		State: SandboxNotReady, CreatedAt: time.Unix(0, created), Labels: labels, Annotations: annotations,
	}
	if state == runtimeapi.PodSandboxState_SANDBOX_READY {
		out.State = SandboxReady
	}
	return out
}

func ignoreNotFound(op string, err error) error {
	if err == nil {
		return nil
	}
	if e := callError(op, err); !isNotFound(e) {
		return e
	}
	return nil
}
