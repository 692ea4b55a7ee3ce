package atomicdir

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxPath    = 4096
	maxSegment = 255
)

// MaxFile is how many bytes a file of a tree may have; an object of the Kubernetes API
// holds a fortieth of it. What is read back is never larger, whatever became of the
// directory.
const MaxFile = 64 << 20

// File is one file of a tree.
type File struct {
	// Path is relative to the directory, with forward slashes. See [CheckPath].
	Path string
	// Data is what the file holds, at most MaxFile bytes. It is not copied: leave it
	// alone until the publication has returned.
	Data []byte
	// Mode is the file's permission bits, exact whatever the process's umask is.
	// Other bits are ignored. On Windows only 0200 (writable) has a meaning.
	Mode fs.FileMode
	// UID and GID own the file; nil leaves what the process creates. UID also owns
	// the link of the path's first segment. Both are ignored on Windows.
	UID, GID *int64
}

// Tree is what a directory shall hold. The zero value is an empty directory.
type Tree struct {
	// Files in any order. Of two files whose cleaned paths are the same the later
	// one counts.
	Files []File
	// Group, when set, owns every directory and link of the publication; directories
	// then also get the setgid bit (a pod's fsGroup). Ignored on Windows.
	Group *int64
}

// ErrPath is wrapped by every error that blames a path of the tree.
var ErrPath = errors.New("invalid path")

// CheckPath tells why p cannot be published, or returns nil: it must be relative,
// at most 4096 bytes with segments of at most 255, without a ".." segment, and must
// not start with "..", which is reserved for the directory's own entries.
func CheckPath(p string) error {
	_, err := cleanPath(p)
	return err
}

func cleanPath(p string) (string, error) {
	reject := func(why string) (string, error) { return "", fmt.Errorf("%w: %s: %q", ErrPath, why, p) }
	switch {
	case p == "":
		return reject("must not be empty")
	case path.IsAbs(p) || filepath.IsAbs(p):
		return reject("must be relative path")
	case len(p) > maxPath:
		return "", fmt.Errorf("%w: must be less than or equal to %d characters", ErrPath, maxPath)
	case strings.ContainsRune(p, 0):
		return reject("must not contain a zero byte")
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == ".." {
			return reject("must not contain '..'")
		}
		if len(segment) > maxSegment {
			return "", fmt.Errorf("%w: filenames must be less than or equal to %d characters", ErrPath, maxSegment)
		}
	}
	clean := path.Clean(p)
	switch {
	case clean == ".":
		return reject("must not be empty")
	case strings.HasPrefix(clean, ".."):
		return reject("must not start with '..'")
	case !filepath.IsLocal(filepath.FromSlash(clean)):
		return reject("must be relative path")
	}
	return clean, nil
}

// plan is a tree made ready: paths clean, sorted and free of conflicts.
type plan struct {
	files []File   // by path
	dirs  []string // every directory of a file, parents first
	heads []string // first segments, sorted
	group *int64
	sum   [sha256.Size]byte
}

func newPlan(t Tree, ids ids) (*plan, error) {
	files := make([]File, len(t.Files))
	for i, f := range t.Files {
		clean, err := cleanPath(f.Path)
		if err != nil {
			return nil, err
		}
		if len(f.Data) > MaxFile {
			return nil, fmt.Errorf("%s: has %d bytes, more than %d", clean, len(f.Data), MaxFile)
		}
		f.Path, f.Mode = clean, f.Mode.Perm()
		files[i] = f
	}
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	p := &plan{group: t.Group}
	for i, f := range files {
		if i+1 < len(files) && files[i+1].Path == f.Path {
			continue
		}
		p.files = append(p.files, f)
	}
	if err := p.addDirs(); err != nil {
		return nil, err
	}
	p.sum = p.digest(ids)
	return p, nil
}

// addDirs fills dirs and heads, and refuses a path that is a file and a
// directory at once.
func (p *plan) addDirs() error {
	seen, headed := map[string]bool{}, map[string]bool{}
	for _, f := range p.files {
		for dir := path.Dir(f.Path); dir != "." && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			p.dirs = append(p.dirs, dir)
		}
		head, _, _ := strings.Cut(f.Path, "/")
		if !headed[head] {
			headed[head] = true
			p.heads = append(p.heads, head)
		}
	}
	slices.Sort(p.dirs)
	slices.Sort(p.heads)
	for _, f := range p.files {
		if seen[f.Path] {
			return fmt.Errorf("%w: is a file and a directory at once: %q", ErrPath, f.Path)
		}
	}
	return nil
}

// ids are the owners of what a process creates in a directory without saying whose it
// shall be.
type ids struct{ uid, gid int64 }

// digest covers all that makes two trees differ for a reader.
func (p *plan) digest(ids ids) (sum [sha256.Size]byte) {
	h := sha256.New()
	// The lengths keep two different trees from being the same sequence of bytes.
	b := appendID(nil, p.group, -1)
	for i := range p.files {
		f := &p.files[i]
		b = binary.LittleEndian.AppendUint64(b, uint64(len(f.Path)))
		b = append(b, f.Path...)
		b = appendID(b, f.UID, ids.uid)
		b = appendID(b, f.GID, ids.gid)
		b = binary.LittleEndian.AppendUint64(b, uint64(keptMode(f.Mode)))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(f.Data)))
		h.Write(b)
		h.Write(f.Data)
		b = b[:0]
	}
	h.Write(b)
	h.Sum(sum[:0])
	return sum
}

func appendID(b []byte, id *int64, otherwise int64) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(keptID(id, otherwise)))
}
