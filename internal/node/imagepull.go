package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/imagepull"
)

// openImages makes what pulls the images of pods, and what removes them.
func (a *Agent) openImages(rt *runtime) (*imagepull.Puller, *imagepull.Collector, error) {
	records, err := a.openPullRecords()
	if err != nil {
		return nil, nil, err
	}
	puller := imagepull.New(imagepull.Config{
		Runtime: rt.client, Secret: a.objects.Secret, Records: records, Verify: a.cfg.Images.Verify, Parallel: a.cfg.Images.Parallel,
		Clock: a.cfg.Wall, Log: a.cfg.Log,
		Missing: func(pod *corev1.Pod, names []string) {
			a.Event(pod, corev1.EventTypeWarning, events.PullSecrets, fmt.Sprintf(
				"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(names, ", ")))
		},
	})
	onNode := func(reason string) func(string) {
		return func(message string) {
			a.recorder.Event(events.Node(a.cfg.NodeName), corev1.EventTypeWarning, reason, message)
		}
	}
	collector := imagepull.CollectorConfig{
		Stock: rt.client, Records: records, High: a.cfg.Images.High, Low: a.cfg.Images.Low,
		Disk:   func(ctx context.Context) (imagepull.Disk, error) { return imageDisk(ctx, rt) },
		Failed: onNode(events.ImageGCFailed), Short: onNode(events.FreeDiskSpace), Clock: a.cfg.Wall, Log: a.cfg.Log,
	}
	if rt.endpoint.Images != nil {
		collector.Imported = rt.endpoint.Images.Imported
	}
	return puller, imagepull.NewCollector(collector), nil
}

// openPullRecords opens the records of pulled images in the data directory.
func (a *Agent) openPullRecords() (*imagepull.Records, error) {
	data, err := os.OpenRoot(a.cfg.Root)
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
	return imagepull.OpenRecords(root)
}

// imageDisk is how full the disk of the runtime's images is.
func imageDisk(ctx context.Context, rt *runtime) (imagepull.Disk, error) {
	dir, err := rt.client.ImageDir(ctx)
	if err != nil {
		return imagepull.Disk{}, err
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return imagepull.Disk{}, fmt.Errorf("looking at the file system of images: %w", err)
	}
	block := uint64(s.Bsize)
	return imagepull.Disk{Size: s.Blocks * block, Used: (s.Blocks - s.Bavail) * block}, nil
}
