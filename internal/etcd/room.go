package etcd

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// allocateEvery is how often it is looked whether the database has grown. It grows by
	// 16 MiB at least.
	allocateEvery = time.Second
	// beyond is what is allocated behind the end of the database, for the write that makes
	// it grow.
	beyond = 2 << 20
)

// keepRoom keeps blocks of the disk for what the database is going to write, until stop is
// closed: the library makes the file larger without them, and gives up when there is none
// for a page. The log has its blocks from the beginning.
func (s *Server) keepRoom(stop <-chan struct{}) {
	ticker := s.config.Wall.NewTicker(allocateEvery)
	defer ticker.Stop()
	db := s.etcd.Cfg.BackendPath()
	var allocated int64
	for {
		size, err := allocate(db, allocated)
		if err == nil {
			allocated = size
		} else if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			s.config.Log.Debug("no blocks are kept for the store", "error", err)
			allocated = size // this file system cannot
		}
		select {
		case <-ticker.C():
		case <-stop:
			return
		}
	}
}

// allocate has a file own blocks for all of its size and what is beyond, unless it had
// that size before. It returns the size.
func allocate(file string, before int64) (int64, error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return before, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == before {
		return before, err
	}
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, info.Size()+beyond); err != nil {
		return info.Size(), &os.PathError{Op: "fallocate", Path: file, Err: err}
	}
	return info.Size(), nil
}
