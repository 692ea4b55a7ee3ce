// Package place makes the volumes of a node's pods: secret, configMap, downwardAPI and
// projected volumes, each in a tmpfs of its own so that nothing of the API is ever on a
// disk, emptyDir, hostPath and the directories that images are mounted on.
//
// It owns the pods directory, the mounts in it and their bounds, what a container gets
// of a volume (also by subPath), and the size of an emptyDir, the one thing that is
// polled. What keeps the files fresh lives in internal/volumes/publish, whose methods a
// [Manager] has too; starting containers in internal/node.
package place
