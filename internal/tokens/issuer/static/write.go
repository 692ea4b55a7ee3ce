// Package static writes the discovery documents and key sets of issuers as files, so that
// any web server or bucket can publish them to relying parties.
//
// It owns the layout of the files and how they come into a directory. What the documents
// say is internal/tokens/issuer's; where issuers and keys are learnt, and what is printed,
// internal/cli's.
package static

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// Manifest is the file in which an export keeps what it wrote, to know its own files.
const Manifest = ".laterna-export"

// manifest has the digests of each file that was written, the newest first: the last one
// counts too, in case the writing of its successor was interrupted.
type manifest map[string][]string

// Write brings pages into dir, each in one step, mode 0644, in directories of mode 0755.
// A file that is there and was not written by an earlier Write, or was changed since, is
// left alone and makes Write fail before anything is changed, unless force is true. No
// link leads out of dir. stale are files of earlier exports that pages does not have.
func Write(dir string, pages []Page, force bool) (stale []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	known, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	if !force {
		for _, p := range pages {
			if err := known.own(root, p); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range pages {
		known.note(p)
	}
	raw, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %v", Manifest, err)
	}
	if err := replace.Below(root, Manifest, raw, 0o644); err != nil {
		return nil, err
	}
	for _, p := range pages {
		if err := makeDirs(root, path.Dir(p.Path)); err != nil {
			return nil, err
		}
		if err := replace.Below(root, p.Path, p.Body, 0o644); err != nil {
			return nil, err
		}
	}
	return known.others(root, pages), nil
}

func readManifest(root *os.Root) (manifest, error) {
	raw, err := bounded.Below(root, Manifest, bounded.Document)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, nil
	}
	m := manifest{}
	if err == nil && json.Unmarshal(raw, &m) != nil {
		err = errors.New("it is not what an export leaves")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", Manifest, err)
	}
	return m, nil
}

// own tells whether a page may take the place of what is there.
func (m manifest) own(root *os.Root, p Page) error {
	info, err := root.Lstat(p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is there and is not a file; --force replaces it", p.Path)
	}
	raw, err := bounded.Below(root, p.Path, bounded.Document)
	if err != nil && !errors.Is(err, bounded.ErrTooLarge) {
		return err
	}
	if err != nil || string(raw) != string(p.Body) && !slices.Contains(m[p.Path], digest(raw)) {
		return fmt.Errorf("%s is there and is not what an earlier export wrote; --force replaces it", p.Path)
	}
	return nil
}

// note adds what is about to be written.
func (m manifest) note(p Page) {
	now := digest(p.Body)
	all := append([]string{now}, slices.DeleteFunc(m[p.Path], func(d string) bool { return d == now })...)
	m[p.Path] = all[:min(len(all), 2)]
}

// others are files of earlier exports that are still there.
func (m manifest) others(root *os.Root, pages []Page) (files []string) {
	for file := range m {
		if slices.ContainsFunc(pages, func(p Page) bool { return p.Path == file }) {
			continue
		}
		if _, err := root.Lstat(file); err == nil {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return files
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// makeDirs makes a directory and those above it that are missing, open to readers
// whatever the umask.
func makeDirs(root *os.Root, dir string) error {
	at := ""
	for part := range strings.SplitSeq(dir, "/") {
		at = path.Join(at, part)
		err := root.Mkdir(at, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = root.Chmod(at, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
