package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/resident"
	ours "laterna.dev/laterna/internal/network/dns"
	"laterna.dev/laterna/internal/wait"
)

// errEnded says that a server does not end by itself.
var errEnded = errors.New("a socket of cluster DNS was closed")

// processName is what listings of processes show of at most 15 characters.
const processName = "laterna-dns"

// Run is the whole life of a server's process: it reads its settings from in, sets up
// CoreDNS, gives up what rights it has, and answers on the sockets that it inherited until
// in ends or ctx does. Its log goes to out, a line each. wall is real time.
func Run(ctx context.Context, in io.Reader, out io.Writer, wall clock.Wall) error {
	_ = os.WriteFile("/proc/self/comm", []byte(processName), 0)
	log.SetFlags(0)
	log.SetOutput(out)
	settings, err := ours.ReadSettings(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// Whoever has started this one keeps the other end open for as long as it lives.
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	i, err := sockets()
	if err != nil {
		return err
	}
	s, err := newServer(ctx, settings)
	if err != nil {
		return err
	}
	if err := confine(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		// It waits for the API some seconds, and answers without it then.
		if err := s.names.start(); err != nil {
			ended <- err
			return
		}
		_, _ = i.ready.Write([]byte{1})
		i.ready.Close()
		go settle(ctx, wall)
		go s.examine(ctx, i.pulse)
		ended <- errors.Join(errEnded, s.serve(i.tcp, i.udp))
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		// The process ends, and everything with it: nobody waits for answers that are
		// under way, who does asks again.
	}
	return err
}

// settleAfter is how long after the start its last work is done.
const settleAfter = 2 * time.Second

// settle gives back the memory that only the start needed, which is most of it.
func settle(ctx context.Context, wall clock.Wall) {
	if !wait.Pause(ctx, wall, settleAfter) {
		return
	}
	if err := resident.Release(); err != nil {
		log.Printf("[DEBUG] memory of the start stays resident: %v", err)
	}
	resident.GiveBack(ctx, wall)
}

// inherited is what the process was started with.
type inherited struct {
	tcp   net.Listener
	udp   net.PacketConn
	ready *os.File
	pulse net.Conn
}

func sockets() (i inherited, err error) {
	tcp, udp, ready, pulse := ours.Inherited()
	defer tcp.Close()
	defer udp.Close()
	defer pulse.Close()
	i.ready = ready
	if i.tcp, err = net.FileListener(tcp); err == nil {
		if i.udp, err = net.FilePacketConn(udp); err == nil {
			i.pulse, err = net.FileConn(pulse)
		}
	}
	if err != nil {
		return i, fmt.Errorf("taking over the sockets of cluster DNS: %w", err)
	}
	return i, nil
}
