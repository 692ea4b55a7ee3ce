package up

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// withRoomHint adds to an error of a full disk what a person does about it, unless it
// says so itself, as the store's does.
func withRoomHint(dataDir string, err error) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if !full || strings.Contains(err.Error(), "make room") {
		return err
	}
	return fmt.Errorf("%w (make room on the file system of %s, bytes or inodes, and start again: what was acknowledged is still there; `laterna down` ends the pods and removes what their containers wrote, `laterna doctor` tells which is short)", err, dataDir)
}
