// Package containerfiles makes what a container is given of its pod's directory, and reads
// what it has left there.
//
// It owns the mounts of a container beside what volumes publish: the hosts file of its pod
// and the file of its termination message; the place of its seccomp profile; the
// note of a postStart hook that it owes; and what a
// container that has ended says in its message, or by the end of its log. What stands in a
// hosts file is internal/node/runspec's, what is in a volume internal/volumes', which
// profile may be read internal/node/seccomp's.
package containerfiles
