package dns

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// logDelay is how long the log of a server that has ended is waited for.
const logDelay = time.Second

// process is a server.
type process struct {
	cmd *exec.Cmd
	// life is the other end of its standard input: it ends with this process.
	life io.Closer
	// ready is closed once it answers; ended delivers how it ended.
	ready chan struct{}
	ended chan error
	// pulse tells whether it hangs.
	pulse *pulse
}

// start begins a server and tells it its settings.
func start(cfg Config, settings Settings) (*process, error) {
	readyReader, readyWriter, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting cluster DNS: %w", err)
	}
	defer readyWriter.Close()
	pulse, theirs, err := newPulse(settings.Domain)
	if err != nil {
		readyReader.Close()
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(cfg.Program, Command, cfg.Of)
	cmd.Args[0] = "laterna"
	cmd.Dir, cmd.Env, cmd.WaitDelay = "/", []string{}, logDelay
	// A terminal's interrupt is for whoever has started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{cfg.Sockets.tcp, cfg.Sockets.udp, readyWriter, theirs}
	lines := newLines(cfg)
	cmd.Stdout, cmd.Stderr = lines, lines
	life, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		readyReader.Close()
		pulse.close()
		return nil, fmt.Errorf("starting cluster DNS: %w", err)
	}
	p := &process{cmd: cmd, life: life, ready: make(chan struct{}), ended: make(chan error, 1), pulse: pulse}
	ready := p.ready
	go func() {
		defer readyReader.Close()
		if n, _ := readyReader.Read(make([]byte, 1)); n > 0 {
			close(ready)
		}
	}()
	// One that does not read ends, and that is told.
	go func() { _ = settings.write(life) }()
	go func() {
		err := cmd.Wait()
		lines.flush()
		if err == nil {
			err = fmt.Errorf("process %d has left", cmd.Process.Pid)
		}
		p.ended <- err
	}()
	return p, nil
}

// hangs tells whether there is no hope that it answers, and asks again. looks counts the
// calls.
func (p *process) hangs(looks int, now time.Time) bool {
	if p.ready != nil {
		return looks >= begin
	}
	return !p.pulse.beats(now)
}

// stop ends the server and returns once it is gone.
func (p *process) stop() {
	p.life.Close()
	p.pulse.close()
	_ = p.cmd.Process.Kill() // it has nothing to lose, and may be gone
	<-p.ended
}
