package atomicdir

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// stagedPrefix starts the name of a generation that waits to be published, so that
// nobody, and no later writer, takes it for one that was.
const stagedPrefix = "..staged_"

// staged is the generation that waits; name is empty when there is none. A zero sum
// means remains that only wait to be removed.
type staged struct {
	name string
	sum  [sha256.Size]byte
}

// Stage writes tree as a complete generation, with all its modes and owners, and
// returns the name of its directory inside this one; what is published stays. It is
// for looking at a tree before it is published. The next Publish or TryPublish of
// the same tree (paths, bytes, modes, owners) takes the staged files instead of
// writing them again and gives their directory a generation's name; publishing
// another tree leaves them alone.
//
// There is at most one staged generation: staging another tree removes the earlier
// one first. A tree that is published already is not written; the name is then that
// of the published generation. Staged files do not count as a replaced generation
// and Purge leaves them. They end with [Dir.Unstage] or [Dir.Close]; after a crash
// the next [Open] removes them.
//
// An error leaves nothing staged. That of a tree with a bad path wraps [ErrPath].
func (d *Dir) Stage(tree Tree) (name string, err error) {
	p, err := newPlan(tree, d.ids)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return "", errClosed
	case d.unchanged(p):
		return d.current, nil
	case d.staged.sum == p.sum && d.holds(d.staged.name, p):
		return d.staged.name, nil
	}
	if err := d.unstage(); err != nil {
		return "", fmt.Errorf("staging: removing what was staged: %w", err)
	}
	d.staged.name, err = d.write(p, stagedPrefix)
	if err != nil {
		return "", fmt.Errorf("staging: %w", errors.Join(err, d.unstage()))
	}
	d.staged.sum = p.sum
	return d.staged.name, nil
}

// Unstage removes the staged generation, if there is one. After an error it can be
// called again; what is left is never published.
func (d *Dir) Unstage() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	if err := d.unstage(); err != nil {
		return fmt.Errorf("removing what was staged: %w", err)
	}
	return nil
}

func (d *Dir) unstage() error {
	if d.staged.name == "" {
		return nil
	}
	d.staged.sum = [sha256.Size]byte{}
	if err := d.ops.removeTree(d.staged.name); err != nil {
		return err
	}
	d.staged = staged{}
	return nil
}

// promote turns the staged generation into one that can be published and returns its
// name, or "" when what is staged is not exactly p.
func (d *Dir) promote(p *plan) string {
	if d.staged.name == "" || d.staged.sum != p.sum || !d.holds(d.staged.name, p) {
		return ""
	}
	name, err := d.newName(generationPrefix, func(name string) error { return d.ops.rename(d.staged.name, name) })
	if err != nil {
		return "" // the caller writes the files again
	}
	d.staged = staged{}
	return name
}
