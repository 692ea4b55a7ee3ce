// Package atomicdir publishes a tree of files into a directory so that all of its
// files change at once.
//
// A published directory has the layout that Kubernetes' volumes have:
//
//	..2026_02_01_15_04_05.7/   a generation: the files as one publication wrote them
//	..data -> ..2026_02_01_15_04_05.7
//	config -> ..data/config    one link for the first segment of every path
//
// A publication writes a new generation and renames a link over ..data, which is
// the moment of change. Whoever watches the directory sees one rename of ..data.
//
// A tree can be written ahead of its publication (see [Dir.Stage]), for being looked
// at; its directory is called "..staged_…" until then.
//
// # Reading
//
// A reader that needs several files of one publication pins a generation: it opens
// ..data once and reads relative to that handle (see [Pin]). A replaced generation
// stays whole for at least [Grace]; at most [MaxReplaced] of them are kept. When a
// writer is so fast that both cannot hold, or replaced generations fill the file
// system, the writer waits, and of the trees that are handed to it meanwhile only the
// last is published.
//
// # Crashes and hostile directories
//
// Every state that a crash can leave is mended by the next Open or Publish, and the
// files of the last publication stay readable throughout. All access goes through a
// handle on the directory ([os.Root]): links placed in it by somebody else are never
// followed out of it.
//
// This package knows nothing of Kubernetes; which files a pod's volume holds is
// decided in package projection.
package atomicdir
