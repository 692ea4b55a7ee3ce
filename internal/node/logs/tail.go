package logs

import (
	"bytes"
	"fmt"
	"io"
)

// tailBlock is how much is read at once when looking for the last lines.
const tailBlock = 32 << 10

// tailOffset returns where the last n lines of a log of the given size begin. What
// the runtime cut into several entries counts as one line.
func tailOffset(f io.ReaderAt, size, n int64) (int64, error) {
	if n <= 0 {
		return size, nil
	}
	var (
		rest  []byte // the beginning of an entry whose start is in an earlier block
		count int64
		start = size
		last  = true
	)
	for end := size; end > 0; {
		begin := max(end-tailBlock, 0)
		block := make([]byte, end-begin, end-begin+int64(len(rest)))
		if _, err := f.ReadAt(block, begin); err != nil {
			return 0, fmt.Errorf("reading log backwards: %w", err)
		}
		block = append(block, rest...)
		for len(block) > 0 {
			// The entry that ends the block, its own newline left aside.
			i := bytes.LastIndexByte(block[:len(block)-1], '\n')
			if i < 0 && begin > 0 {
				break
			}
			entry := block[i+1:]
			if line, err := ParseLine(entry); err == nil && (!line.Partial || last) {
				if count == n {
					return start, nil
				}
				count++
			}
			last = false
			start = begin + int64(i) + 1
			block = block[:i+1]
		}
		rest, end = block, begin
	}
	return start, nil
}
