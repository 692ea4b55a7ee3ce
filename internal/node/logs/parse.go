package logs

import (
	"bytes"
	"errors"
	"time"
)

// Stream is the output that a line was written to.
type Stream string

// The two outputs of a container.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// timeFormat has a fixed width, so that lines with time stamps align and sort.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// maxHead is how many bytes of an entry may stand before its text; runtimes write 45.
const maxHead = 256

// Line is one entry of a log file. The runtime cuts long lines: an entry that is
// Partial is continued by the next one of the same stream.
type Line struct {
	Time    time.Time
	Stream  Stream
	Partial bool
	// Text has no newline.
	Text []byte
}

// ParseLine reads an entry: "<RFC 3339 time> <stream> <tags> <text>", with or
// without the newline. Tags are separated by colons, the first being P or F; what
// stands before the text has at most 256 bytes. The text shares raw's memory, and may
// be cut anywhere.
func ParseLine(raw []byte) (Line, error) {
	raw = bytes.TrimSuffix(raw, []byte{'\n'})
	head := raw[:min(len(raw), maxHead)]
	stamp, rest, ok := bytes.Cut(head, []byte{' '})
	if !ok {
		return Line{}, errors.New("log entry without a stream")
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return Line{}, errors.New("log entry without an RFC 3339 time")
	}
	stream, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return Line{}, errors.New("log entry without tags")
	}
	if s := Stream(stream); s != Stdout && s != Stderr {
		return Line{}, errors.New("log entry of an unknown stream")
	}
	tags, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return Line{}, errors.New("log entry without text")
	}
	tag, _, _ := bytes.Cut(tags, []byte{':'})
	text := raw[len(head)-len(rest):]
	return Line{Time: t, Stream: Stream(stream), Partial: string(tag) == "P", Text: text}, nil
}
