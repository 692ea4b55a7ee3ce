package stdio

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

const (
	// mostLeft bounds what is read of a stream after the container's end: twice what
	// its two pipes hold, and what the shim has in its hands.
	mostLeft = 256 << 10
	// longestEntry is how much text an entry of a log has, as containerd cuts it.
	longestEntry = 16 << 10
)

// stream is the second reader of a container's standard output or error.
type stream struct {
	name string // "stdout" or "stderr", as in the log
	file *os.File
	left []byte
	at   time.Time // when left was read
}

// open opens the streams below a container's directory: dir/<number>/<id>-stdout and
// -stderr, of which a container with a terminal has the first alone. They are named
// pipes that containerd made, in a directory that only root reaches.
func open(dir, id string) (made string, streams []*stream, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	if len(entries) != 1 {
		return "", nil, fmt.Errorf("%d directories in %s, want one", len(entries), dir)
	}
	made = filepath.Join(dir, entries[0].Name())
	for _, name := range []string{"stdout", "stderr"} {
		f, err := openPipe(filepath.Join(made, id+"-"+name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			for _, s := range streams {
				s.file.Close()
			}
			return "", nil, err
		}
		streams = append(streams, &stream{name: name, file: f})
	}
	return made, streams, nil
}

// openPipe opens a named pipe for reading without waiting for its writer.
func openPipe(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err == nil && info.Mode().Type() != fs.ModeNamedPipe {
		err = fmt.Errorf("%s is no named pipe", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// empty reads what is left, until the writer closes the stream or drainTime is over.
func (s *stream) empty(now func() time.Time) {
	defer s.file.Close()
	s.at = now()
	if s.file.SetReadDeadline(s.at.Add(drainTime)) != nil {
		return
	}
	s.left, _ = bounded.Beginning(s.file, mostLeft) // an error leaves what was read before it, as the end does
}

// appendTo adds what is left in streams to the log at path, which is below root.
func appendTo(root *os.Root, rootPath, path string, streams []*stream) error {
	var entries bytes.Buffer
	for _, s := range streams {
		entry(&entries, s)
	}
	if entries.Len() == 0 || path == "" {
		return nil
	}
	name, err := filepath.Rel(rootPath, path)
	if err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the pod's logs are gone
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(entries.Bytes()); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// entry writes what is left of a stream in CRI's logging format. It goes on where
// containerd stopped: what that wrote last is marked partial unless it was a whole line.
func entry(to *bytes.Buffer, s *stream) {
	head := s.at.UTC().Format(time.RFC3339Nano) + " " + s.name
	for left := s.left; len(left) > 0; {
		line, tag := left, "P"
		if i := bytes.IndexByte(left, '\n'); i >= 0 {
			line, tag = left[:i], "F"
		}
		rest := left[min(len(line)+1, len(left)):]
		if len(line) > longestEntry {
			line, tag, rest = line[:longestEntry], "P", left[longestEntry:]
		}
		fmt.Fprintf(to, "%s %s %s\n", head, tag, line)
		left = rest
	}
}
