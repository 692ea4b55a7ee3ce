package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/test/system"
)

// row is one part of the suite; it may give several figures.
type row struct {
	name    string
	what    string
	measure func(context.Context, *bench) ([]figure, error)
}

// rows are the suite, in the order of the table.
var rows = []row{
	{"start", "process start → /readyz, without a node", measureStart},
	{"start-node", "process start → /readyz, with a node", measureStartNode},
	{"first-pod", "process start → first pod with a projected token Running", measureFirstPod},
	{"memory", "resident memory, idle, without a node", measureMemory},
	{"memory-node", "resident memory, idle, with a node", measureMemoryNode},
	{"pod", "one pod, create → Running, and → Ready by a probe", measurePod},
	{"pods", "50 pods at once → all Running; their memory", measurePods},
	{"pods-100", "100 pods at once → all Running", measureHundredPods},
	{"probes", "500 HTTP and TCP probes a second; exec probes", measureProbes},
	{"streams", "exec round trip, port-forward throughput", measureStreams},
	{"update", "ConfigMap written → bytes readable in the container", measureUpdates},
	{"services", "pod to pod by a cluster IP; one change among 1,000 services", measureServices},
	{"issuer", "issuer changed → the token files of running pods re-issued", measureIssuer},
	{"rs256", "TokenRequest and TokenReview, RS256", measureRS256},
	{"es256", "TokenRequest and TokenReview, ES256", measureES256},
	{"sts", "AssumeRoleWithWebIdentity and GetCallerIdentity, beside a bare check of a signature", measureSTS},
	{"definitions", "a custom resource defined → its first object stored; start and memory with 30 definitions", measureDefinitions},
	{"objects", "ConfigMap create, get, update", measureObjects},
	{"flood", "one account's requests beside a flood of another's lists", measureFlood},
	{"roles", "100,000 roles of IAM: made, read, listed; memory", measureRoles},
	{"rollout", "a Deployment of 100 pods on simulated nodes: created, rolled out", measureRollout},
	{"jobs", "1,000 Jobs created → their pods made; their pods succeed → all Complete, without a node", measureJobs},
	{"collect", "5,000 dependents of one owner collected, and orphaned", measureCollection},
	{"names", "DNS queries beside a bare UDP echo; memory with 10,000 names", measureNames},
	{"publish", "publishing a volume of 10 files", measurePublish},
	{"volumes", "1,000 projected volumes in one process: time and memory", measureVolumes},
	{"pod-identity", "the patch that gives a pod a role", measurePodIdentity},
	{"crypto", "bare cryptography, to compare with", measureCrypto},
}

// bench is what rows measure with. Rows run one after the other.
type bench struct {
	options
	programs system.Programs
	built    bool
	open     []*system.System
	shared   *fleet
}

func newBench(o options) (*bench, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return nil, errors.New("run it in the root of the repository: go run ./test/bench")
	}
	if o.programs != "" {
		dir, err := filepath.Abs(o.programs)
		if err != nil {
			return nil, err
		}
		b := &bench{options: o, programs: system.Programs(dir)}
		_, err = os.Stat(b.programs.Path("laterna"))
		return b, err
	}
	programs, err := system.Build(".")
	return &bench{options: o, programs: programs, built: true}, err
}

// close removes all that the rows have left.
func (b *bench) close() error {
	var errs []error
	for _, s := range slices.Clone(b.open) {
		errs = append(errs, b.remove(s))
	}
	if b.built {
		errs = append(errs, os.RemoveAll(string(b.programs)))
	}
	return errors.Join(errs...)
}

// system prepares a system that close removes, if remove has not done so.
func (b *bench) system(flags ...string) (*system.System, error) {
	s, err := system.New(b.programs, flags...)
	if err != nil {
		return nil, err
	}
	b.open = append(b.open, s)
	return s, nil
}

func (b *bench) remove(s *system.System) error {
	b.open = slices.DeleteFunc(b.open, func(other *system.System) bool { return other == s })
	return s.Remove()
}

// started returns a system that has said it is ready.
func (b *bench) started(flags ...string) (*system.System, error) {
	s, err := b.system(flags...)
	if err != nil {
		return nil, err
	}
	return s, s.Start()
}

// imported imports the one image that the rows use.
func (b *bench) imported(s *system.System) error {
	const archiveName = "busybox-1.28.tar"
	archive, err := filepath.Abs(filepath.Join(b.images, archiveName))
	if err != nil {
		return err
	}
	if _, err := os.Stat(archive); err != nil {
		return fmt.Errorf("%w: run make images", err)
	}
	dir, err := os.MkdirTemp("", "laterna-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Symlink(archive, filepath.Join(dir, archiveName)); err != nil {
		return err
	}
	return s.ImportImages(dir)
}

// tellLogs writes the ends of the logs of what runs.
func (b *bench) tellLogs(out io.Writer) {
	for _, s := range b.open {
		fmt.Fprintf(out, "log of laterna in %s:\n%s\n", s.Dir, lastLines(s.Log()))
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// lastLines is the end of a log, for errors.
func lastLines(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
