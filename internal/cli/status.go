package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/nodefields"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/status"
)

func newStatus() *cobra.Command {
	var target targetFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs, since when, and how full it is",
		Long: `Show what runs on a data directory, since when, and how full it is. The exit code is 0
when the system is ready and 1 otherwise. With --kubeconfig alone it tells what the API
knows, wherever the system runs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := status.Read(cmd.Context(), target.local(), target.client)
			if err != nil {
				return err
			}
			printStatus(cmd.OutOrStdout(), s)
			switch {
			case s.Stopped():
				return fmt.Errorf("not running; start it with `%s`", upCommand(s.DataDir))
			case s.Ready != nil:
				return fmt.Errorf("not ready: %w", s.Ready)
			}
			return nil
		},
	}
	target.bind(cmd.Flags())
	return cmd
}

func printStatus(out io.Writer, s status.Status) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	defer w.Flush()
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+":\t"+format+"\n", args...) }
	if s.DataDir != "" {
		row("Data directory", "%s", s.DataDir)
	}
	if s.PID != 0 {
		row("Process", "%d, running for %s, %s resident", s.PID, duration.HumanDuration(time.Since(s.Since)), plain.Bytes(s.Resident))
	}
	if s.Left > 0 {
		row("Left running", "%d processes of containers, which the next start takes over and `laterna down` ends", s.Left)
	}
	if s.Version != "" {
		row("API server", "%s at %s", s.Version, s.Server)
	}
	for i := range s.Nodes {
		row("Node", "%s, %s", s.Nodes[i].Name, nodeState(&s.Nodes[i]))
	}
	failed := 0
	for i := range s.Nodes {
		if why := s.Nodes[i].Annotations[api.ClusterDNSError]; why != "" {
			row("Cluster DNS", "none on node %s, whose pods resolve names as the machine does: %s", s.Nodes[i].Name, why)
			failed++
		}
	}
	if len(s.Nodes) > 0 && (s.Names != nil || failed == 0) {
		row("Cluster DNS", "%s", namesState(s.Names))
	}
	if s.Pods != nil {
		row("Pods", "%s", podCounts(s.Pods))
	}
	for _, o := range s.Damaged {
		row("Damaged", "%s: %s; %s", o.String(), o.Why, o.Advice())
	}
	if s.DataDir != "" {
		row("Disk", "store %s, images %s, %s free", plain.Bytes(s.StoreBytes), plain.Bytes(s.ImageBytes), plain.Bytes(s.Free))
		if s.Full {
			row("Disk is full", "pods cannot write, and no new ones are started; `laterna doctor` tells how to make room")
		}
		if s.FewFiles {
			row("Files", "only %d more files can be made there (inodes): remove files, or pods and images that are not needed", s.FreeFiles)
		}
	}
}

// upCommand is the command that starts the system of a data directory.
func upCommand(dir string) string {
	if dir == datadir.Default() {
		return "laterna up"
	}
	return "laterna up --data-dir " + plain.ShellWord(dir)
}

func nodeState(node *corev1.Node) string {
	switch c := nodefields.Condition(node, corev1.NodeReady); {
	case c == nil:
		return "has not reported yet"
	case c.Status == corev1.ConditionTrue:
		return "Ready"
	default:
		return "NotReady: " + c.Message
	}
}

func namesState(n *status.Names) string {
	switch {
	case n == nil:
		return "none: pods resolve names as the machine does"
	case n.Err != nil:
		return fmt.Sprintf("%s does not answer: %v", n.Service, n.Err)
	case n.API == "":
		return n.Service
	default:
		return fmt.Sprintf("%s, knows the API as %s", n.Service, n.API)
	}
}

func podCounts(pods map[corev1.PodPhase]int) string {
	if len(pods) == 0 {
		return "none"
	}
	var parts []string
	for phase, n := range pods {
		parts = append(parts, fmt.Sprintf("%d %s", n, phase))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
