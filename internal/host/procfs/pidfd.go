package procfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// open returns a descriptor of exactly this process, or -1 when it has ended.
func (p Process) open() (int, error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: a thread took the number
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("opening process %d: %w", p.PID, err)
	}
	now, err := Get(p.PID)
	if err == nil && now.Start == p.Start {
		return fd, nil
	}
	unix.Close(fd)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return -1, err
	}
	return -1, nil
}

// waitReadable polls fd, which it closes, until it is readable (nil) or ctx ends. A
// pipe wakes the poll when ctx ends.
func waitReadable(ctx context.Context, fd int) error {
	defer unix.Close(fd)
	var wake [2]int
	if err := unix.Pipe2(wake[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("making wake-up pipe: %w", err)
	}
	defer unix.Close(wake[0])
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		unix.Close(wake[1])
		close(done)
	})
	defer func() {
		if stop() {
			unix.Close(wake[1])
			return
		}
		<-done
	}()
	for {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake[0]), Events: unix.POLLIN}}
		_, err := unix.Poll(set, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("waiting: %w", err)
		case set[0].Revents != 0:
			return nil
		case set[1].Revents != 0:
			return ctx.Err()
		}
	}
}
