package datadir

import "path/filepath"

// Kubeconfig is the admin kubeconfig, written before /readyz answers.
func (d Dir) Kubeconfig() string { return filepath.Join(d.Path, "kubeconfig") }

// PKI holds the certificate authority, certificates and keys.
func (d Dir) PKI() string { return filepath.Join(d.Path, "pki") }

// EncryptionKey is the key that seals Secrets and signing keys in the store.
func (d Dir) EncryptionKey() string { return filepath.Join(d.Path, "pki", "encryption.key") }

// Etcd holds the embedded store.
func (d Dir) Etcd() string { return filepath.Join(d.Path, "etcd") }

// NodePort has the port of the node's own API.
func (d Dir) NodePort() string { return filepath.Join(d.Path, "node-port") }

// Pods holds a directory for each pod of the node, with its volumes.
func (d Dir) Pods() string { return filepath.Join(d.Path, "pods") }

// Containerd holds images and layers of the managed containerd.
func (d Dir) Containerd() string { return filepath.Join(d.Path, "containerd") }

// Network holds the subnet that the node has chosen.
func (d Dir) Network() string { return filepath.Join(d.Path, "network") }

// Socket returns the path of a socket in the run directory.
func (d Dir) Socket(name string) string { return filepath.Join(d.RunDir, name+".sock") }

// Bridge is the name of the pod network's bridge (at most 15 bytes).
func (d Dir) Bridge() string { return "lt-" + d.Hash }

// HostName is the name of the nft table and the cgroup parent.
func (d Dir) HostName() string { return "laterna-" + d.Hash }

// Reserve is room on the disk that is given back when the disk is full.
func (d Dir) Reserve() string { return filepath.Join(d.Path, "reserve") }
