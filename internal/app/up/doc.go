// Package up runs a system in this process: it is what `laterna up` and `laterna server` are.
//
// It owns the order in which the parts are made and start, the directory and the clocks that
// they get, and what belongs to the process as a whole (its memory, the lines on standard
// output, the end). The parts are made in internal/app/server and internal/app/agent, from
// what internal/app/config says; the life of each is internal/component's.
package up
