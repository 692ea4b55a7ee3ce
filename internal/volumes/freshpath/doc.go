// Package freshpath lets files and directories that containers see by subPath follow
// the updates of their volume (annotation laterna.dev/subpath-updates of pods).
//
// Kubernetes binds a subPath when its container starts, so the container keeps the
// file of that moment. Here the new file's mount is put beneath the old one, in the
// container's own mount namespace, and the old one is taken off: at no instant is the
// file missing, and the mount's settings stay. Which mounts those are is not
// remembered but read from the kernel each time: the mounts of the container whose
// file system is the volume's. So nothing is lost with the agent, and no mount ever
// comes to a place where there was no mount of the same volume.
//
// It owns the entering of foreign mount namespaces and the exchange of mounts there.
// The namespace belongs to a container that may be hostile: nothing of it is executed,
// its links are not followed, and its paths are only taken as a way to a mount that is
// then checked by number. What a subPath leads to, and the binds on the node's side,
// are in internal/volumes/place; the system calls on handles in internal/host/rootfd; when
// this is called is decided in internal/node.
package freshpath
