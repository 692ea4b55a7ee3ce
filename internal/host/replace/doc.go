// Package replace puts files into place in one step.
//
// Who opens the file meanwhile, also after this process was killed, finds what was there
// or all of what comes, never a part. It says how durable that is:
//
//   - File and Below return when content and name are on disk: they outlive a power cut.
//     That costs two waits for the disk, some milliseconds each.
//   - Unsynced and UnsyncedBelow wait for nothing: after a power cut the file may be the
//     old one, empty or missing. They are for what is looked at when it is read and made
//     anew when it is broken.
//
// The mode is exactly the one that is given, whatever the umask. A file at the name, or a
// link, is replaced and not written through; a directory is an error. Two writers of one
// file do not disturb each other: the last one wins. A process that is killed may leave a
// hidden file beside (see Unfinished).
//
// It owns no directory: making and closing them is the caller's. Generations of volumes,
// which change many files at once, are projection/atomicdir's.
package replace
