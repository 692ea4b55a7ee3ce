package atomicdir

import (
	"io/fs"
	"os"
)

// Windows has neither owners by number nor permission bits: files get what the
// directory's access list passes on.

const dirMode = 0o755

func setOwner(*os.File, *int64, *int64) error { return nil }

func keptID(*int64, int64) int64 { return 0 }

func keptMode(mode fs.FileMode) fs.FileMode { return mode & 0o200 }

func inherited(fs.FileInfo) ids { return ids{} }

func ownersOf(fs.FileInfo) (uid, gid *int64) { return nil, nil }

func groupOf(fs.FileInfo) *int64 { return nil }

func finishDir(*os.File, *int64) error { return nil }

func ownedBy(fs.FileInfo, *int64, *int64) bool { return true }

func sameDir(fs.FileInfo, *int64) bool { return true }

// sameMode compares the one bit that Windows keeps.
func sameMode(info fs.FileInfo, want fs.FileMode) bool {
	return info.Mode()&0o200 == want&0o200
}

func linkOwner(ops, string, fs.FileInfo, *int64) error { return nil }

// swap makes the link tmp the new ..data. Windows cannot rename over a directory
// link, so there is a moment without one; a crash in it is mended by the next
// publication.
func swap(o ops, tmp string) error {
	if err := o.remove(dataLink); err != nil {
		return err
	}
	return o.rename(tmp, dataLink)
}
