package imagepull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/node/events"
)

// NodeConfig is what the images of a node are kept with. Fields are required unless said
// otherwise.
type NodeConfig struct {
	NodeName string
	// Root is the data directory, where the records of pulled images are.
	Root    string
	Runtime NodeRuntime
	// Secret reads a Secret.
	Secret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Providers has logins besides those of Secrets; nil for none.
	Providers Providers
	// Imports is nil where images cannot be imported (a foreign runtime).
	Imports Imports
	// Used are the IDs of images in use by others than containers.
	Used func() []string
	// Verify says which images that are present a pod may use without credentials.
	Verify Verification
	// High, Low and Parallel are those of CollectorConfig and Config.
	High, Low, Parallel int
	// Pulled tells that the node has one more image.
	Pulled func()
	Events Events
	// Clock is the agent's, Wall real time.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// NodeRuntime is what the container runtime does with images, see cri.Client.
type NodeRuntime interface {
	Runtime
	Stock
	// ImageDir is where the images are.
	ImageDir(ctx context.Context) (string, error)
}

// Imports knows where images came from, and how far they have come. It is
// internal/runtime/images.
type Imports interface {
	// Imported says whether the image was imported from an archive.
	Imported(ctx context.Context, ref string) (bool, error)
	// Progress is how far the pulls of a repository are, see Config.
	Progress(ctx context.Context, repository string) (mark string, open bool, err error)
}

// Open makes what gets the images of a node's pods, and what removes them. Both say in
// Events what goes wrong.
func Open(c NodeConfig) (*Getter, *Collector, error) {
	records, err := openRecords(c.Root)
	if err != nil {
		return nil, nil, err
	}
	var progress func(context.Context, string) (string, bool, error)
	if c.Imports != nil {
		progress = c.Imports.Progress
	}
	puller := New(Config{
		Progress: progress, Runtime: c.Runtime, Secret: c.Secret, Providers: c.Providers, Records: records, Verify: c.Verify, Parallel: c.Parallel, Clock: c.Wall, Log: c.Log,
		Missing: func(pod *corev1.Pod, names []string) {
			c.Events.Event(events.Pod(pod), corev1.EventTypeWarning, events.PullSecrets, fmt.Sprintf(
				"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(names, ", ")))
		},
	})
	onNode := func(reason string) func(string) {
		return func(message string) {
			c.Events.Event(events.Node(c.NodeName), corev1.EventTypeWarning, reason, message)
		}
	}
	getter := &Getter{
		Find: c.Runtime.ImageStatus, Pulls: puller, Pulled: c.Pulled, Events: c.Events, Clock: c.Clock, Wall: c.Wall, Log: c.Log,
	}
	collector := CollectorConfig{
		Stock: c.Runtime, Used: c.Used, Records: records, High: c.High, Low: c.Low,
		Disk:   func(ctx context.Context) (Disk, error) { return diskOf(ctx, c.Runtime) },
		Failed: onNode(events.ImageGCFailed), Short: onNode(events.FreeDiskSpace), Clock: c.Wall, Log: c.Log,
	}
	if c.Imports != nil {
		getter.Imported, collector.Imported = c.Imports.Imported, c.Imports.Imported
	}
	return getter, NewCollector(collector), nil
}

// openRecords opens the records of pulled images in the data directory.
func openRecords(dataDir string) (*Records, error) {
	data, err := os.OpenRoot(dataDir)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	const dir = "image_manager"
	if err := data.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := data.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return OpenRecords(root)
}

// diskOf is how full the disk of the runtime's images is.
func diskOf(ctx context.Context, rt NodeRuntime) (Disk, error) {
	dir, err := rt.ImageDir(ctx)
	if err != nil {
		return Disk{}, err
	}
	room, err := machine.RoomOf(dir)
	if err != nil {
		return Disk{}, err
	}
	return Disk{Size: room.AllBytes, Used: room.AllBytes - room.Bytes}, nil
}
