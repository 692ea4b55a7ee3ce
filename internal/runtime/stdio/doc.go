// Package stdio keeps the end of what containers print.
//
// containerd up to 1.6.21, and 1.7 up to 1.7.2, closes its end of a container's streams
// as soon as the container has ended, whatever is still in them: a program that prints
// much and ends loses up to 64 KiB, on a busy machine nearly always. Debian 12 ships
// such a version. So each stream is opened a second time, and what containerd has left
// in it is added to the container's log before the end of the container is told.
//
// It owns these second readers. The streams themselves are containerd's; reading and
// rotating logs is internal/node/logs's. Whoever is attached to the container when it
// ends still misses what its log has.
package stdio
