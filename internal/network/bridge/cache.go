package bridge

import (
	"path/filepath"
	"strings"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
)

// cacheDir is where the CNI library remembers results, for all networks of a machine;
// runtimes do not let one choose another place.
const cacheDir = "/var/lib/cni/results"

// sandboxes returns the ids of sandboxes that this network knows, from leases and from
// remembered results.
func sandboxes(dir datadir.Dir) map[string]bool {
	ids := map[string]bool{}
	leases, _ := filepath.Glob(filepath.Join(leaseDir(dir), "*", "*.*.*.*"))
	for _, file := range leases {
		// A lease holds the id and, on the next line, the interface's name.
		if raw, err := bounded.File(file, bounded.Small); err == nil {
			id, _, _ := strings.Cut(string(raw), "\n")
			ids[strings.TrimSpace(id)] = true
		}
	}
	for _, file := range resultFiles(dir.Bridge()) {
		rest := strings.TrimPrefix(filepath.Base(file), dir.Bridge()+"-")
		id, _, _ := strings.Cut(rest, "-")
		ids[id] = true
	}
	delete(ids, "")
	return ids
}

// cacheFiles returns what the CNI library remembers of the sandboxes: a result for
// this network, and one for the loopback that the runtime adds.
func cacheFiles(dir datadir.Dir, ids map[string]bool) []string {
	files := resultFiles(dir.Bridge())
	for id := range ids {
		files = append(files, filepath.Join(cacheDir, "cni-loopback-"+id+"-lo"))
	}
	return files
}
