package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/cli/paint"
	"laterna.dev/laterna/internal/datadir"
)

// tokenSource says where a token is read from.
type tokenSource struct{ pod string }

// maxInput is how much is read of what is said to be a token: more than any has, so that
// the report can say that it is too long.
const maxInput = 1 << 20

// podTimeout bounds the question for a pod.
const podTimeout = 10 * time.Second

// read returns the text, which is not empty.
func (s tokenSource) read(cmd *cobra.Command, target targetFlags, args []string) (string, error) {
	var in io.Reader
	name := "standard input"
	switch {
	case s.pod != "":
		file, err := s.open(cmd.Context(), target)
		if err != nil {
			return "", fmt.Errorf("--pod %s: %w", s.pod, err)
		}
		defer file.Close()
		in, name = file, file.Name()
	case len(args) == 1 && args[0] != "-":
		file, err := os.Open(args[0])
		if err != nil && isToken(args[0]) {
			return "", errTokenArgument
		}
		if err != nil {
			return "", err
		}
		defer file.Close()
		in, name = file, args[0]
	case len(args) == 0 && paint.IsTerminal(cmd.InOrStdin()):
		return "", usageError(cmd, "`%s` needs a FILE, or a token on standard input", cmd.CommandPath())
	default:
		in = cmd.InOrStdin()
	}
	raw, err := bounded.Beginning(in, maxInput) // more is no token
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	if strings.TrimSpace(string(raw)) == "" {
		return "", fmt.Errorf("there is no token in %s", name)
	}
	return string(raw), nil
}

// open opens the file of a token in a volume of a pod, as it is on this machine.
func (s tokenSource) open(ctx context.Context, target targetFlags) (*os.File, error) {
	object, file, _ := strings.Cut(s.pod, ":")
	namespace, name, ok := strings.Cut(object, "/")
	if !ok || namespace == "" || name == "" {
		return nil, errors.New("write it as NAMESPACE/NAME or NAMESPACE/NAME:VOLUME/PATH")
	}
	client, err := target.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, podTimeout)
	defer cancel()
	pod, err := client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, explain(err)
	}
	if file, err = chooseToken(pod, file); err != nil {
		return nil, err
	}
	dir, err := datadir.Locate(target.dataDir)
	if err != nil {
		return nil, err
	}
	return openInVolume(dir, string(pod.UID), file)
}

// openInVolume opens VOLUME/PATH of a pod; no link leads out of the volume.
func openInVolume(dir datadir.Dir, uid, file string) (*os.File, error) {
	volume, path, _ := strings.Cut(file, "/")
	root, err := os.OpenRoot(filepath.Join(dir.Path, "pods", uid, "volumes", "kubernetes.io~projected", volume))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("its volume %s is not on this machine in %s", volume, dir.Path)
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(path)
}

// chooseToken returns the VOLUME/PATH that is wanted of the tokens in a pod's volumes, or
// of the only one.
func chooseToken(pod *corev1.Pod, want string) (string, error) {
	all := tokenFiles(pod)
	for _, one := range all {
		if one == want {
			return one, nil
		}
	}
	switch {
	case len(all) == 0:
		return "", errors.New("no volume of the pod holds a token")
	case want != "":
		return "", fmt.Errorf("the pod has no token %s, but %s", want, strings.Join(all, ", "))
	case len(all) > 1:
		return "", fmt.Errorf("the pod has several tokens, name one behind a colon: %s", strings.Join(all, ", "))
	}
	return all[0], nil
}

// tokenFiles returns the tokens in the projected volumes of a pod as VOLUME/PATH.
func tokenFiles(pod *corev1.Pod) (files []string) {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Projected == nil {
			continue
		}
		for j := range v.Projected.Sources {
			if t := v.Projected.Sources[j].ServiceAccountToken; t != nil {
				files = append(files, v.Name+"/"+t.Path)
			}
		}
	}
	return files
}
