package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/replace"
)

// Listen opens the listener of the node's own API, which an agent that runs with it closes.
// It is at the port that it had last where that is free: the API reaches a node at the port
// that the node's status has, which after a start is the former one until the agent has
// written it.
func Listen(ctx context.Context, ip netip.Addr, dir datadir.Dir, log *slog.Logger) (net.Listener, error) {
	former := formerPort(dir)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(ip, former).String())
	if err != nil && former != 0 {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(ip, 0).String())
	}
	if err != nil {
		return nil, fmt.Errorf("listening for the node's own API: %w (choose an address of this machine with --node-ip)", err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok && at.Port != int(former) {
		if err := replace.File(dir.NodePort(), []byte(strconv.Itoa(at.Port)+"\n"), 0o600); err != nil {
			log.Warn("the port of the node's own API is not remembered: after the next start exec, attach, logs and port-forward fail until the node has told its new one", "error", err)
		}
	}
	return l, nil
}

// formerPort is the port of the last start, 0 where that is not known.
func formerPort(dir datadir.Dir) uint16 {
	raw, err := bounded.File(dir.NodePort(), bounded.Small)
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}
