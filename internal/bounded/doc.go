// Package bounded reads files and streams into memory with a bound.
//
// Whoever shapes a file, be it a container, an image, a runtime or a disk, can make it
// as large as it likes at no cost, or a pipe that never ends. So each read says how
// much it takes at most, and files are looked at before they are opened: what is no
// regular file is refused. It is the only owner of reads to the end (a rule of
// internal/arch); reading below a directory that somebody else writes to at the same
// time is internal/host/rootfd's.
package bounded
