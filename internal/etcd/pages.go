package etcd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"

	"golang.org/x/sys/unix"
)

// The file format of bbolt: pages, of which the first two say where the root is.
const (
	pageHeader  = 16
	pageElement = 16
	metaSize    = 64
	boltMagic   = 0xED0CDAED

	branchPage = 0x01
	leafPage   = 0x02
	// bucketElement marks an element of a leaf whose value is a bucket.
	bucketElement = 0x01
)

var le = binary.LittleEndian

// pages is a bbolt file whose pages are being counted.
type pages struct {
	data []byte
	size uint64 // of a page
	end  uint64 // the first number that no page has
	seen []bool
}

// checkPages reads the structure of a bbolt file: every page is within the file, is used
// once, is what others take it for, and has its keys in order. bbolt itself follows what it
// reads: it crashes in goroutines of its own, or goes round without an end. An empty file
// is a new one.
func checkPages(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	defer unix.Munmap(data)
	if err := walk(data); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func walk(data []byte) error {
	meta, size, err := newestMeta(data)
	if err != nil {
		return err
	}
	root, end := le.Uint64(meta[16:]), le.Uint64(meta[40:])
	if end < 2 || end > uint64(len(data))/size {
		return fmt.Errorf("it ends at %d bytes, before its page %d", len(data), end)
	}
	p := &pages{data: data, size: size, end: end, seen: make([]bool, end)}
	return p.tree(root, keyRange{})
}

// newestMeta returns the valid meta page of the last transaction, and the size of pages.
func newestMeta(data []byte) (meta []byte, size uint64, err error) {
	meta = metaAt(data, 0)
	// The second one is found by the size that the first tells, or by a usual one.
	sizes := []uint64{4096, 8192, 16384, 32768, 65536}
	if meta != nil {
		sizes = []uint64{pageSize(meta)}
	}
	for _, size := range sizes {
		other := metaAt(data, size)
		if other != nil && pageSize(other) == size && (meta == nil || le.Uint64(other[48:]) > le.Uint64(meta[48:])) {
			meta = other
			break
		}
	}
	if meta == nil {
		return nil, 0, errors.New("it is not a database: neither of its first pages is whole")
	}
	return meta, pageSize(meta), nil
}

// metaAt returns the meta page at an offset, nil when there is none that is whole.
func metaAt(data []byte, at uint64) []byte {
	if at+pageHeader+metaSize > uint64(len(data)) {
		return nil
	}
	m := data[at+pageHeader:][:metaSize]
	sum := fnv.New64a()
	sum.Write(m[:metaSize-8])
	if le.Uint32(m) != boltMagic || le.Uint64(m[metaSize-8:]) != sum.Sum64() || pageSize(m) < 1024 {
		return nil
	}
	return m
}

func pageSize(meta []byte) uint64 { return uint64(le.Uint32(meta[8:])) }

// page claims a page and those that continue it, and returns their content.
func (p *pages) page(id uint64) (content []byte, flags uint16, count int, err error) {
	if id < 2 || id >= p.end {
		return nil, 0, 0, fmt.Errorf("there is no page %d", id)
	}
	header := p.data[id*p.size:]
	more := uint64(le.Uint32(header[12:]))
	if le.Uint64(header) != id || id+more >= p.end {
		return nil, 0, 0, overwritten(id)
	}
	for i := id; i <= id+more; i++ {
		if p.seen[i] {
			return nil, 0, 0, fmt.Errorf("page %d is used twice", i)
		}
		p.seen[i] = true
	}
	return header[:(more+1)*p.size], le.Uint16(header[8:]), int(le.Uint16(header[10:])), nil
}

// keyRange is which keys a page may have: from low up to, without it, high; nil is no
// bound.
type keyRange struct {
	low, high []byte
	// revisions says that the keys are of the bucket in which etcd keeps its objects.
	revisions bool
}

// next admits a key and leaves those that may follow it.
func (r *keyRange) next(key []byte, first bool) bool {
	order := bytes.Compare(r.low, key)
	switch {
	case order > 0 || order == 0 && !first:
		return false
	case r.high != nil && bytes.Compare(key, r.high) >= 0:
		return false
	case r.revisions && !isRevision(key):
		return false
	}
	r.low = key
	return true
}

// isRevision tells whether a key is one that etcd can read (mvcc.BytesToBucketKey): two
// numbers that are not negative, and perhaps a mark.
func isRevision(key []byte) bool {
	return (len(key) == 17 || len(key) == 18) && key[8] == '_' && int8(key[0]) >= 0 && int8(key[9]) >= 0
}

// tree reads the pages of a bucket. It ends, as no page is read twice.
func (p *pages) tree(id uint64, r keyRange) error {
	content, flags, count, err := p.page(id)
	if err != nil {
		return err
	}
	switch {
	case flags == branchPage && count > 0:
		return p.branch(id, content, count, r)
	case flags == leafPage:
		return p.leaf(id, content, count, r)
	}
	return fmt.Errorf("page %d has kind %#x", id, flags)
}

func (p *pages) branch(id uint64, content []byte, count int, r keyRange) error {
	var keys [][]byte
	for i := range count {
		at := pageHeader + i*pageElement
		if at+pageElement > len(content) || !within(content, at, le.Uint32(content[at:]), le.Uint32(content[at+4:]), 0) {
			return overwritten(id)
		}
		key := content[at+int(le.Uint32(content[at:])):][:le.Uint32(content[at+4:])]
		if !r.next(key, i == 0) {
			return overwritten(id)
		}
		keys = append(keys, key)
	}
	for i, key := range keys {
		below := keyRange{key, r.high, r.revisions}
		if i+1 < count {
			below.high = keys[i+1]
		}
		if err := p.tree(le.Uint64(content[pageHeader+i*pageElement+8:]), below); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) leaf(id uint64, content []byte, count int, r keyRange) error {
	for i := range count {
		at := pageHeader + i*pageElement
		if at+pageElement > len(content) {
			return overwritten(id)
		}
		flags, pos, key, value := le.Uint32(content[at:]), le.Uint32(content[at+4:]), le.Uint32(content[at+8:]), le.Uint32(content[at+12:])
		if flags > bucketElement || !within(content, at, pos, key, value) {
			return overwritten(id)
		}
		rest := content[at+int(pos):]
		if !r.next(rest[:key], i == 0) {
			return overwritten(id)
		}
		if flags == bucketElement {
			if err := p.bucket(id, string(rest[:key]), rest[key:][:value]); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket reads the bucket in an element of a page: the number of its root, or 0 and a page
// within the element.
func (p *pages) bucket(id uint64, name string, value []byte) error {
	const header = 16
	switch {
	case len(value) < header:
		return overwritten(id)
	case le.Uint64(value) != 0:
		return p.tree(le.Uint64(value), keyRange{revisions: name == "key"})
	case len(value) < header+pageHeader:
		return overwritten(id)
	}
	inline := value[header:]
	return p.leaf(id, inline, int(le.Uint16(inline[10:])), keyRange{revisions: name == "key"})
}

func overwritten(id uint64) error { return fmt.Errorf("page %d is overwritten", id) }

// within tells whether an element's key and value lie inside of its page.
func within(content []byte, at int, pos, key, value uint32) bool {
	return at+pageElement <= len(content) && pos >= pageElement &&
		uint64(at)+uint64(pos)+uint64(key)+uint64(value) <= uint64(len(content))
}
