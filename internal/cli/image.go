package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/images"
)

func newImage() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:   "image",
		Short: "Import, list and remove images of the managed containerd",
		Long: `Import, list and remove images of the managed containerd. An imported image counts as
pulled, whatever a pod's pull policy says, until it is removed: no registry is asked.`,
	})
	cmd.AddCommand(newImageImport(), newImageList(), newImageRemove())
	return cmd
}

// imageFlags name the system whose images are meant.
type imageFlags struct{ dataDir, criEndpoint string }

func (f *imageFlags) bind(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	bindDataDir(cmd.Flags(), &f.dataDir)
	cmd.Flags().StringVar(&f.criEndpoint, "cri-endpoint", "", "`SOCKET` of another runtime: not supported, manage its images with its own tool")
}

// open connects to the managed containerd, which must run. Zero maxSize is the default.
func (f *imageFlags) open(cmd *cobra.Command, maxSize int64) (*images.Store, error) {
	if f.criEndpoint != "" {
		return nil, errors.New("--cri-endpoint: images of a foreign runtime are managed with its own tool, such as `ctr -n k8s.io images import FILE`: CRI has no import")
	}
	dir, err := datadir.Locate(f.dataDir)
	if err != nil {
		return nil, err
	}
	socket := containerd.New(containerd.Config{RunDir: dir.RunDir}).Socket()
	if err := awaitSocket(cmd.Context(), dir, socket); err != nil {
		return nil, err
	}
	cfg := images.Config{
		// What is imported is printed; the log would say it again.
		Socket: socket, Root: dir.Containerd(), MaxSize: maxSize, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
	}
	if out := cmd.ErrOrStderr(); paint.IsTerminal(out) {
		cfg.Progress = func(p images.Progress) { fmt.Fprint(out, progressLine(p)) }
	}
	return images.Open(cfg)
}

// socketTimeout is how long a containerd that is being started is waited for.
const socketTimeout = 10 * time.Second

// awaitSocket waits for the socket of the managed containerd while a laterna runs
// that starts it.
func awaitSocket(ctx context.Context, dir datadir.Dir, socket string) error {
	missing := fmt.Errorf("no managed containerd runs for %s; start it with `laterna up --data-dir %s`, or name another --data-dir", dir.Path, dir.Path)
	if err := dir.Check(); errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("looking for the managed containerd of %s: %w: run as the user who started laterna", dir.Path, err)
	}
	if _, err := os.Stat(socket); err != nil && dir.Owner() == 0 {
		return missing
	}
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	if err := cri.WaitSocket(ctx, clock.Real(), socket); err != nil {
		return missing
	}
	return nil
}

// with runs do on the images of the system that the flags name.
func (f *imageFlags) with(cmd *cobra.Command, maxSize int64, do func(context.Context, *images.Store) error) error {
	store, err := f.open(cmd, maxSize)
	if err != nil {
		return err
	}
	return errors.Join(do(cmd.Context(), store), store.Close())
}

func newImageImport() *cobra.Command {
	var flags imageFlags
	var name string
	maxSize := byteSize{images.DefaultMaxSize}
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Import images from archives (docker save, OCI layout; tar, tar.gz or directory)",
		Long: `Import images from archives (docker save, OCI layout; tar, tar.gz or directory).

An archive is read to its end before anything is written, and images are named last: an
archive that is damaged, or unpacks to more than --max-size or than the disk has room
for, leaves nothing behind. The name of the sandbox image, and a name with the digest of
other content, are refused. The command waits for a container runtime that is starting.

Some tools write archives that do not name their image, or only its tag: --name does.`,
		Example: `  docker save nginx busybox:1.28 -o images.tar && laterna image import images.tar
  laterna image import build/images/*.tar`,
		Args: someArgs("FILE"),
		RunE: func(cmd *cobra.Command, files []string) error {
			if name != "" && len(files) > 1 {
				return fmt.Errorf("--name names one image, but %d archives are given", len(files))
			}
			return flags.with(cmd, maxSize.bytes, func(ctx context.Context, store *images.Store) error {
				return importFiles(ctx, cmd, store, files, name)
			})
		},
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the image where the archive gives none, such as example/app:1.0")
	cmd.Flags().Var(&maxSize, "max-size", "`SIZE` that the images of one archive may unpack to, such as 500Mi or 20Gi")
	return cmd
}

// byteSize is a flag's size in bytes, written as a Kubernetes quantity.
type byteSize struct{ bytes int64 }

// String implements pflag.Value.
func (b *byteSize) String() string { return resource.NewQuantity(b.bytes, resource.BinarySI).String() }

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "SIZE" }

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return err
	}
	if q.Sign() <= 0 || q.Cmp(*resource.NewQuantity(math.MaxInt64, resource.BinarySI)) >= 0 {
		return errors.New("must be more than 0 and less than 8Ei")
	}
	b.bytes = q.Value()
	return nil
}

// importFiles goes on after a file that cannot be imported and fails at the end. name is
// that of an image that has none.
func importFiles(ctx context.Context, cmd *cobra.Command, store *images.Store, files []string, name string) error {
	var errs []error
	for _, file := range files {
		imported, err := store.ImportFile(ctx, file, name)
		if err != nil {
			errs = append(errs, err)
		}
		if paint.IsTerminal(cmd.ErrOrStderr()) {
			fmt.Fprint(cmd.ErrOrStderr(), clearLine)
		}
		for _, image := range imported {
			fmt.Fprintf(cmd.OutOrStdout(), "imported %s\n", images.Familiar(image.Name))
		}
	}
	return errors.Join(errs...)
}

// clearLine takes back what stands on a terminal's line.
const clearLine = "\r\x1b[K"

// progressLine overwrites a terminal's line with how far an import is.
func progressLine(p images.Progress) string {
	doing := fmt.Sprintf("%s of %s", plain.Bytes(p.Done), plain.Bytes(p.Total))
	if p.Unpacking {
		doing += ", unpacking"
	}
	line := fmt.Sprintf("importing %s", images.Familiar(p.Image))
	if p.Count > 1 {
		line += fmt.Sprintf(" (%d of %d)", p.Number, p.Count)
	}
	return clearLine + line + ": " + doing
}

func newImageList() *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the images that pods can use without pulling",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.with(cmd, 0, func(ctx context.Context, store *images.Store) error {
				return listImages(ctx, cmd, store)
			})
		},
	}
	flags.bind(cmd)
	return cmd
}

func listImages(ctx context.Context, cmd *cobra.Command, store *images.Store) error {
	all, err := store.List(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tID\tSIZE\tIMPORTED")
	for _, image := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\n", images.Familiar(image.Name), shortID(image.ID), plain.Bytes(image.Size), image.Imported)
	}
	return w.Flush()
}

// shortID is the start of a digest, without the algorithm.
func shortID(id string) string {
	const prefix, length = "sha256:", 12
	if len(id) < len(prefix)+length {
		return id
	}
	return id[len(prefix) : len(prefix)+length]
}

func newImageRemove() *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:     "rm IMAGE…",
		Aliases: []string{"remove"},
		Short:   "Remove images by name; running containers are not affected",
		Args:    someArgs("IMAGE"),
		RunE: func(cmd *cobra.Command, refs []string) error {
			return flags.with(cmd, 0, func(ctx context.Context, store *images.Store) error {
				return removeImages(ctx, cmd, store, refs)
			})
		},
	}
	flags.bind(cmd)
	return cmd
}

func removeImages(ctx context.Context, cmd *cobra.Command, store *images.Store, refs []string) error {
	var errs []error
	for _, ref := range refs {
		if err := store.Remove(ctx, ref); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", ref)
	}
	return errors.Join(errs...)
}
