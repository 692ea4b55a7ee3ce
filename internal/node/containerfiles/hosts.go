package containerfiles

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/node/runspec"
)

const (
	hostsFile = "etc-hosts"
	hostsPath = "/etc/hosts"
	hostsMode = 0o644

	// mostHosts is how large the machine's hosts file may be, in bytes; lists of names
	// that are to be blocked have some millions.
	mostHosts = 16 << 20
)

// writeHosts makes the hosts file of a pod say what it should, whatever its containers,
// which may write to it, have made of it.
func (f *Files) writeHosts(root *os.Root, pod *corev1.Pod) error {
	var ips []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	var host []byte
	if pod.Spec.HostNetwork {
		var err error
		if host, err = bounded.File(hostsPath, mostHosts); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the machine's hosts file: %w", err)
		}
	}
	content := runspec.Hosts(pod, ips, f.ClusterDomain, host)
	if err := rewrite(root, hostsFile, content, hostsMode); err != nil {
		return fmt.Errorf("writing hosts file: %w", err)
	}
	return nil
}

// rewrite makes a file have this content and mode, unless it has. It stays the same
// file, so that containers that have it mounted see it; what is not a regular file is
// replaced by one.
func rewrite(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	info, err := root.Lstat(name)
	switch {
	case err == nil && !info.Mode().IsRegular():
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	case err == nil && info.Mode() == mode:
		if old, err := bounded.Below(root, name, int64(len(content))); err == nil && bytes.Equal(old, content) {
			return nil
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|unix.O_NONBLOCK, mode)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	return errors.Join(err, f.Close())
}
