package cri

import (
	"context"
	"encoding/json"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// SandboxNetwork is the file of a ready sandbox's network namespace. ok is false where
// the runtime does not tell, which containerd and CRI-O do; an empty path is the network
// of the host.
func (c *Client) SandboxNetwork(ctx context.Context, id string) (path string, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		return "", false, callError("asking for a sandbox's network", err)
	}
	if r.GetStatus().GetLinux().GetNamespaces().GetOptions().GetNetwork() == runtimeapi.NamespaceMode_NODE {
		return "", true, nil
	}
	path = namespacePath(r.GetInfo()["info"])
	return path, path != "", nil
}

// namespacePath reads the path of the network namespace from what a runtime tells of a
// sandbox's specification.
func namespacePath(info string) string {
	var told struct {
		RuntimeSpec struct {
			Linux struct {
				Namespaces []struct{ Type, Path string }
			}
		}
	}
	if json.Unmarshal([]byte(info), &told) != nil {
		return ""
	}
	for _, n := range told.RuntimeSpec.Linux.Namespaces {
		if n.Type == "network" {
			return n.Path
		}
	}
	return ""
}

// PortForwardURL prepares a connection to ports of a sandbox and returns the URL of the
// runtime's streaming server for it, good for one connection.
func (c *Client) PortForwardURL(ctx context.Context, id string, ports []int32) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: id, Port: ports})
	if err != nil {
		return "", callError("preparing port-forward", err)
	}
	return r.Url, nil
}
