package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"laterna.dev/laterna/internal/datadir"
)

// restConfig returns how to reach the API of the system that the flags name.
func (t targetFlags) restConfig() (*rest.Config, error) {
	path := t.kubeconfig
	if path == "" {
		dir, err := datadir.Locate(t.dataDir)
		if err != nil {
			return nil, err
		}
		path = dir.Kubeconfig()
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if dir, err := datadir.Locate(t.dataDir); err == nil && t.kubeconfig == "" && dir.Owner() != 0 {
			return nil, fmt.Errorf("%s does not exist, though a system runs (process %d): it is written when the system is ready; where it was removed, the next start writes it again", path, dir.Owner())
		}
		return nil, fmt.Errorf("no system found: %s does not exist; start one with `laterna up`, or name its --data-dir or --kubeconfig", path)
	} else if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w: run as the user who started laterna, or name another --kubeconfig", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	return config, nil
}

// explain puts what to do behind an error of a system that does not answer.
func explain(err error) error {
	if utilnet.IsConnectionRefused(err) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w (does it run? `laterna status` tells)", err)
	}
	return err
}

// client returns a client for the system that the flags name.
func (t targetFlags) client() (kubernetes.Interface, error) {
	config, err := t.restConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}
