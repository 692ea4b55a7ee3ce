package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"laterna.dev/laterna/internal/app"
)

func newStatus() *cobra.Command {
	var target targetFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs, since when, and how full it is",
		Long: `Show what runs on a data directory, since when, and how full it is. The exit code is 0
when the system is ready and 1 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := target.client()
			if err != nil {
				return err
			}
			s, err := app.ReadStatus(cmd.Context(), target.dataDir, client)
			if err != nil {
				return err
			}
			printStatus(cmd.OutOrStdout(), s)
			switch {
			case s.PID == 0:
				return errors.New("not running; start it with `laterna up`")
			case s.Ready != nil:
				return fmt.Errorf("not ready: %w", s.Ready)
			}
			return nil
		},
	}
	target.bind(cmd.Flags())
	return cmd
}

func printStatus(out io.Writer, s app.Status) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	defer w.Flush()
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+":\t"+format+"\n", args...) }
	row("Data directory", "%s", s.DataDir)
	if s.PID != 0 {
		row("Process", "%d, running for %s, %s resident", s.PID, duration.HumanDuration(time.Since(s.Since)), bytesOf(s.Resident))
	}
	if s.Version != "" {
		row("API server", "%s", s.Version)
	}
	for i := range s.Nodes {
		row("Node", "%s, %s", s.Nodes[i].Name, nodeState(&s.Nodes[i]))
	}
	if s.Pods != nil {
		row("Pods", "%s", podCounts(s.Pods))
	}
	row("Disk", "store %s, images %s, %s free", bytesOf(s.StoreBytes), bytesOf(s.ImageBytes), bytesOf(s.Free))
}

func nodeState(node *corev1.Node) string {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return "Ready"
		} else if c.Type == corev1.NodeReady {
			return "NotReady: " + c.Message
		}
	}
	return "has not reported yet"
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
