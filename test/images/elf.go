package main

import (
	"debug/elf"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// libraryDirs are where the dynamic linker looks, with Debian's directories for each
// architecture.
func libraryDirs(f *elf.File) []string {
	triplet := map[elf.Machine]string{elf.EM_X86_64: "x86_64-linux-gnu", elf.EM_AARCH64: "aarch64-linux-gnu"}[f.Machine]
	var dirs []string
	for _, dir := range []string{"/lib", "/usr/lib"} {
		dirs = append(dirs, filepath.Join(dir, triplet), dir)
	}
	return append(dirs, "/lib64", "/usr/lib64")
}

// addProgram adds a program under name, the interpreter that starts it, and every
// library that it needs. Libraries keep their directory's name; the interpreter must be
// where the program says.
func (l *layer) addProgram(p *packages, name, from string) {
	if err := l.program(p, name, from); err != nil && l.err == nil {
		l.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (l *layer) program(p *packages, name, from string) error {
	f, err := elf.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	l.copy(name, from)
	if interpreter := interpreterOf(f); interpreter != "" {
		path := p.find(interpreter, filepath.Join("/usr", interpreter))
		if path == "" {
			return fmt.Errorf("interpreter %s is not there", interpreter)
		}
		l.copy(interpreter, path)
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	runPaths, err := f.DynString(elf.DT_RUNPATH)
	if err != nil {
		return err
	}
	dirs := libraryDirs(f)
	for _, dir := range runPaths {
		dirs = append(dirs, filepath.Clean(strings.ReplaceAll(dir, "$ORIGIN", filepath.Dir(name))))
	}
	for _, library := range needed {
		if err := l.library(p, library, dirs); err != nil {
			return err
		}
	}
	return nil
}

func (l *layer) library(p *packages, name string, dirs []string) error {
	for _, dir := range dirs {
		path := p.find(filepath.Join(dir, name))
		if path == "" {
			continue
		}
		at := filepath.Join(dir, name)
		if l.entries[strings.TrimPrefix(at, "/")] != nil {
			return nil
		}
		return l.program(p, at, path)
	}
	return fmt.Errorf("library %s is not there", name)
}

// interpreterOf is the dynamic linker that a program names, or "" for static ones.
func interpreterOf(f *elf.File) string {
	at := slices.IndexFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if at < 0 {
		return ""
	}
	raw, err := io.ReadAll(f.Progs[at].Open())
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(raw), "\x00")
}
