package eviction

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The signals that thresholds are of.
const (
	memoryAvailable = "memory.available"
	pidAvailable    = "pid.available"
)

// DefaultThresholds are the kubelet's for what this package keeps, and for the numbers of
// processes at what the node has always told of.
const DefaultThresholds = "memory.available<100Mi,pid.available<5%"

// Thresholds say what must be left of the machine. The zero value asks for nothing.
type Thresholds struct{ memory, pids threshold }

// threshold is an amount, or a share of what there is.
type threshold struct {
	amount  int64
	percent float64
}

func (t threshold) of(capacity int64) int64 {
	if t.percent > 0 {
		return int64(float64(capacity) * t.percent / 100)
	}
	return t.amount
}

// Memory is how much must be left of so much memory, in bytes.
func (t Thresholds) Memory(capacity int64) int64 { return t.memory.of(capacity) }

// Parse reads thresholds as the kubelet's --eviction-hard has them: signal<amount, or
// signal<percent%, separated by commas. One that is not named asks for nothing, like one of
// 0% or 100%.
func Parse(text string) (Thresholds, error) {
	var t Thresholds
	seen := map[string]bool{}
	for _, statement := range strings.Split(text, ",") {
		statement = strings.TrimSpace(statement)
		if statement == "" {
			continue
		}
		signal, value, ok := strings.Cut(statement, "<")
		if !ok || value == "" {
			return Thresholds{}, fmt.Errorf("invalid eviction threshold syntax %s, expected <signal><operator><value>, such as memory.available<100Mi", statement)
		}
		if seen[signal] {
			return Thresholds{}, fmt.Errorf("there are two thresholds of %s", signal)
		}
		seen[signal] = true
		parsed, err := parseValue(signal, value)
		if err != nil {
			return Thresholds{}, err
		}
		switch signal {
		case memoryAvailable:
			t.memory = parsed
		case pidAvailable:
			t.pids = parsed
		case "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree", "containerfs.available", "containerfs.inodesFree":
			return Thresholds{}, fmt.Errorf("the eviction signal %s has no threshold here: --disk-reserve says what must be left of the disk, --image-gc-high-threshold when images are removed", signal)
		default:
			return Thresholds{}, fmt.Errorf("unsupported eviction signal %s: there are %s and %s", signal, memoryAvailable, pidAvailable)
		}
	}
	return t, nil
}

func parseValue(signal, value string) (threshold, error) {
	if share, ok := strings.CutSuffix(value, "%"); ok {
		percent, err := strconv.ParseFloat(share, 64)
		switch {
		case err != nil || percent != percent:
			return threshold{}, fmt.Errorf("eviction percentage threshold %s: %q is not a percentage", signal, value)
		case percent < 0:
			return threshold{}, fmt.Errorf("eviction percentage threshold %s must be >= 0%%: %s", signal, value)
		case percent > 100:
			return threshold{}, fmt.Errorf("eviction percentage threshold %s must be <= 100%%: %s", signal, value)
		case percent == 100:
			return threshold{}, nil
		}
		return threshold{percent: percent}, nil
	}
	q, err := resource.ParseQuantity(value)
	if err != nil {
		return threshold{}, fmt.Errorf("eviction threshold %s: %q is not an amount, such as 100Mi, or a percentage", signal, value)
	}
	if q.Sign() < 0 {
		return threshold{}, fmt.Errorf("eviction threshold %s must be positive: %s", signal, value)
	}
	return threshold{amount: q.Value()}, nil
}

// kind is what a node can be short of.
type kind struct {
	name corev1.ResourceName
	// format is how amounts of it are written.
	format resource.Format
}

var (
	memory = kind{corev1.ResourceMemory, resource.BinarySI}
	pids   = kind{"pids", resource.DecimalSI}
)

func (k kind) amount(n int64) string { return resource.NewQuantity(n, k.format).String() }
