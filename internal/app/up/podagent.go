package up

import (
	"context"
	"fmt"
	"net/netip"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/aws/sts/podagent"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/network/plane"
	"laterna.dev/laterna/internal/network/services"
)

// podAgent has the API answer pods that ask for container credentials, and says how they are
// led there. There is neither where no file lists such pods: the address is refused then.
func podAgent(ctx context.Context, c config.PodIdentity, network *plane.Plane, api *apiserver.Server, group *component.Group) (also []services.Fixed, serves []component.Component, err error) {
	if c.IdentitiesFile == "" {
		return nil, nil, nil
	}
	l, err := network.Listen(ctx)
	if err != nil {
		return nil, nil, err
	}
	group.Opened("listener of container credentials", closing(l))
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the listener's address: %w", err)
	}
	also = []services.Fixed{{Address: podagent.Address, Protocol: services.TCP, Backend: at, PodsOnly: true}}
	return also, []component.Component{component.Run("container credentials", func(ctx context.Context) error { return api.ServePodAgent(ctx, l) })}, nil
}
