package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/node/cri"
)

// bareCalls are the times of the runtime's calls for one pod.
type bareCalls struct{ sandbox, create, start durations }

func (c bareCalls) total() durations {
	var out durations
	for i := range c.start {
		out = append(out, c.sandbox[i]+c.create[i]+c.start[i])
	}
	return out
}

// bareCalls makes the calls that a pod needs, and no others, while no agent looks:
// it would remove what it does not know.
func (f *fleet) bareCalls(ctx context.Context, rounds int) (c bareCalls, err error) {
	if err := f.system.Stop(); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.system.Start()) }()
	dir, err := datadir.Locate(f.system.Dir)
	if err != nil {
		return c, err
	}
	client, err := cri.Dial(dir.Socket("containerd"))
	if err != nil {
		return c, err
	}
	defer client.Close()
	for i := range rounds {
		if err := c.one(ctx, client, fmt.Sprintf("bare-%d", i), f.system.Dir); err != nil {
			return c, err
		}
	}
	return c, nil
}

// one runs a pod by the runtime's calls and removes it.
func (c *bareCalls) one(ctx context.Context, client *cri.Client, name, dataDir string) (err error) {
	spec := &cri.SandboxSpec{
		Name: name, Namespace: namespace, UID: name, Hostname: name,
		LogDir:   filepath.Join(dataDir, "logs", name),
		Security: cri.SandboxSecurity{Seccomp: cri.Profile{Kind: cri.ProfileRuntimeDefault}},
	}
	begin := time.Now()
	sandbox, err := client.RunSandbox(ctx, spec)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, client.StopSandbox(ctx, sandbox), client.RemoveSandbox(ctx, sandbox))
	}()
	ran := time.Now()
	container, err := client.CreateContainer(ctx, sandbox, &cri.ContainerSpec{
		Name: "main", ImageRef: image, UserImage: image, Command: []string{"sleep", "3600"}, LogPath: "main.log",
	}, spec)
	if err != nil {
		return err
	}
	created := time.Now()
	if err := client.StartContainer(ctx, container); err != nil {
		return err
	}
	c.sandbox = append(c.sandbox, ran.Sub(begin))
	c.create = append(c.create, created.Sub(ran))
	c.start = append(c.start, time.Since(created))
	return nil
}
