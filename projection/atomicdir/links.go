package atomicdir

import (
	"io/fs"
	"slices"
)

// link makes the root links of p as they must be: missing ones are made, changed
// ones mended. An entry of that name that is no link (a mount point inside the
// volume) is left alone, and covers what the link would lead to.
//
// Links belong to the process, whoever their files belong to: in a directory that is
// sticky and writable for all, the kernel follows a link only for its owner or if it
// belongs to the directory's (fs.protected_symlinks).
func (d *Dir) link(p *plan) (covered []string, err error) {
	for _, head := range p.heads {
		info, err := d.ops.root.Lstat(head)
		if ignoreMissing(err) != nil {
			return nil, err
		}
		if err == nil && info.Mode()&fs.ModeSymlink == 0 {
			covered = append(covered, head)
			continue
		}
		if err == nil && !d.pointsIn(head) {
			if err := d.ops.remove(head); err != nil {
				return nil, err
			}
			err = fs.ErrNotExist
		}
		if err != nil {
			info = nil
			if err := d.ops.symlink(dataLink+"/"+head, head); err != nil {
				return nil, err
			}
		}
		if err := linkOwner(d.ops, head, info, p.group); err != nil {
			return nil, err
		}
	}
	return covered, nil
}

// unlink removes the root links that p no longer has. Only links of our own form
// are touched.
func (d *Dir) unlink(p *plan) error {
	entries, err := d.ops.list(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 || e.Name() == dataLink {
			continue
		}
		if _, wanted := slices.BinarySearch(p.heads, e.Name()); wanted || !d.pointsIn(e.Name()) {
			continue
		}
		if err := d.ops.remove(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// pointsIn tells whether the link name leads to the entry of the same name below
// ..data.
func (d *Dir) pointsIn(name string) bool {
	target, err := d.ops.root.Readlink(name)
	return err == nil && slashed(target) == dataLink+"/"+name
}
