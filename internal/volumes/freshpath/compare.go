package freshpath

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/rootfd"
)

// sameBytes compares two files of volumes.
func sameBytes(a, b *rootfd.Dir) (bool, error) {
	// Through the magic link: it leads to the handle's file, whoever's namespace it is in.
	af, err := os.Open(a.Path())
	if err != nil {
		return false, err
	}
	defer af.Close()
	bf, err := os.Open(b.Path())
	if err != nil {
		return false, err
	}
	defer bf.Close()
	return equal(af, bf)
}

func equal(a, b io.Reader) (bool, error) {
	var ab, bb [16 << 10]byte
	for {
		an, aerr := io.ReadFull(a, ab[:])
		bn, berr := io.ReadFull(b, bb[:])
		if !bytes.Equal(ab[:an], bb[:bn]) {
			return false, nil
		}
		aend, bend := ended(aerr), ended(berr)
		switch {
		case aerr != nil && !aend:
			return false, aerr
		case berr != nil && !bend:
			return false, berr
		case aend || bend:
			return aend == bend, nil
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

var flagOf = map[string]uint64{
	"ro": unix.MOUNT_ATTR_RDONLY, "nosuid": unix.MOUNT_ATTR_NOSUID, "nodev": unix.MOUNT_ATTR_NODEV,
	"noexec": unix.MOUNT_ATTR_NOEXEC, "noatime": unix.MOUNT_ATTR_NOATIME, "nodiratime": unix.MOUNT_ATTR_NODIRATIME,
	"nosymfollow": unix.MOUNT_ATTR_NOSYMFOLLOW, "relatime": unix.MOUNT_ATTR_RELATIME, "rw": 0,
}

// attributesOf are the settings of a mount, for the one that comes in its place. A
// setting that is not known is an error: it must not get lost.
func attributesOf(m mounts.Mount) (a rootfd.Attributes, err error) {
	atime := uint64(unix.MOUNT_ATTR_STRICTATIME)
	for _, option := range m.Options {
		flag, known := flagOf[option]
		if !known {
			return a, fmt.Errorf("it is mounted %s, which cannot be carried over", option)
		}
		if option == "relatime" || option == "noatime" {
			atime = 0
		}
		a.Flags |= flag
	}
	a.Flags |= atime
	a.Propagation = unix.MS_PRIVATE
	for _, p := range m.Propagation {
		name, _, _ := strings.Cut(p, ":")
		switch name {
		case "shared":
			a.Propagation = unix.MS_SHARED
		case "master":
			// A slave of the volume's mount; of nothing, and so private, where that is private.
			a.Propagation = max(a.Propagation, unix.MS_SLAVE)
		case "unbindable":
			a.Propagation = unix.MS_UNBINDABLE
		}
	}
	return a, nil
}
