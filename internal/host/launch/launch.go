package launch

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
)

// Command is what Start starts. All fields but Args are required.
type Command struct {
	// Path is the program's file, an absolute path.
	Path string
	// Args are the arguments after the program's name.
	Args []string
	// Env is the whole environment.
	Env []string
	// Output gets standard output and standard error.
	Output *os.File
}

// starting lets one start at a time have the process's limits and signals.
var starting sync.Mutex

// Start starts the program in a session of its own, without a terminal, in the root
// directory and with /dev/null as standard input. kept names, for people, what it has of
// this process nevertheless because undoing it needs a privilege; it is nil when nothing
// is kept. The caller waits for the process.
func Start(c Command) (process *os.Process, kept []string, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread and what is set on it end with this goroutine.
		runtime.LockOSThread()
		starting.Lock()
		defer starting.Unlock()
		process, kept, err = c.start(null)
	}()
	<-done
	return process, kept, err
}

func (c Command) start(null *os.File) (*os.Process, []string, error) {
	if err := closeOnExec(); err != nil {
		return nil, nil, fmt.Errorf("closing descriptors to programs: %w", err)
	}
	kept, restore := asService()
	defer restore()
	kept = append(kept, asServiceThread()...)
	process, err := os.StartProcess(c.Path, append([]string{c.Path}, c.Args...), &os.ProcAttr{
		Dir:   "/",
		Env:   c.Env,
		Files: []*os.File{null, c.Output, c.Output},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	return process, kept, err
}
