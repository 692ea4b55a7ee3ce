package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/runtime/cri"
)

// bareCalls are the times of the runtime's calls, each for one pod.
type bareCalls struct{ sandbox, create, start durations }

func (c bareCalls) String() string {
	total := c.sandbox.median() + c.create.median() + c.start.median()
	return fmt.Sprintf("CRI calls alone %s ms (sandbox %s, create %s, start %s)", number(ms(total)),
		number(ms(c.sandbox.median())), number(ms(c.create.median())), number(ms(c.start.median())))
}

// withoutAgent calls f with the runtime while no agent looks, which would remove
// what it does not know.
func (f *fleet) withoutAgent(do func(*cri.Client) error) (err error) {
	if err := f.system.Stop(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.system.Start()) }()
	dir, err := datadir.Locate(f.system.Dir)
	if err != nil {
		return err
	}
	client, err := cri.Dial(dir.Socket("containerd"))
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client)
}

// bareCalls makes the calls that a pod needs, and no others, one pod after the
// other.
func (f *fleet) bareCalls(ctx context.Context, pods int) (c bareCalls, err error) {
	err = f.withoutAgent(func(client *cri.Client) error {
		for i := range pods {
			sandbox, times, err := runBare(ctx, client, fmt.Sprintf("bare-%d", i), f.system.Dir)
			if err = errors.Join(err, removeBare(ctx, client, sandbox)); err != nil {
				return err
			}
			c.sandbox = append(c.sandbox, times[0])
			c.create = append(c.create, times[1])
			c.start = append(c.start, times[2])
		}
		return nil
	})
	return c, err
}

// bareAtOnce makes the calls for many pods at once and returns how long it took
// until the last had started.
func (f *fleet) bareAtOnce(ctx context.Context, pods int) (d time.Duration, err error) {
	err = f.withoutAgent(func(client *cri.Client) error {
		sandboxes, errs := make([]string, pods), make([]error, pods)
		begin := time.Now()
		atOnce(pods, func(i int) { sandboxes[i], _, errs[i] = runBare(ctx, client, fmt.Sprintf("bare-%d", i), f.system.Dir) })
		d = time.Since(begin)
		removed := make([]error, pods)
		atOnce(pods, func(i int) { removed[i] = removeBare(ctx, client, sandboxes[i]) })
		return errors.Join(slices.Concat(errs, removed)...)
	})
	return d, err
}

// atOnce calls f for 0 to n-1 at the same time and returns when all have returned.
func atOnce(n int, f func(int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// runBare runs a pod by the runtime's calls and returns its sandbox and how long
// each of the three calls took.
func runBare(ctx context.Context, client *cri.Client, name, dataDir string) (sandbox string, times [3]time.Duration, err error) {
	spec := &cri.SandboxSpec{
		Name: name, Namespace: namespace, UID: name, Hostname: name,
		LogDir:   filepath.Join(dataDir, "logs", name),
		Security: cri.SandboxSecurity{Seccomp: cri.Profile{Kind: cri.ProfileRuntimeDefault}},
	}
	begin := time.Now()
	lap := func(i int) { times[i], begin = time.Since(begin), time.Now() }
	if sandbox, err = client.RunSandbox(ctx, spec); err != nil {
		return "", times, err
	}
	lap(0)
	container, err := client.CreateContainer(ctx, sandbox, &cri.ContainerSpec{
		Name: "main", ImageRef: image, UserImage: image, Command: []string{"sleep", "3600"}, LogPath: "main.log",
	}, spec)
	if err != nil {
		return sandbox, times, err
	}
	lap(1)
	err = client.StartContainer(ctx, container)
	lap(2)
	return sandbox, times, err
}

func removeBare(ctx context.Context, client *cri.Client, sandbox string) error {
	if sandbox == "" {
		return nil
	}
	return errors.Join(client.StopSandbox(ctx, sandbox), client.RemoveSandbox(ctx, sandbox))
}
