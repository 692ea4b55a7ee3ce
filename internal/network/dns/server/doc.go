// Package server answers questions about names with CoreDNS, in a process of its own.
//
// It owns which plugins there are and how they are set, who is answered, and what the process
// may use. CoreDNS keeps state of the whole process (plugins, log, signals), so nothing but
// the hidden command of internal/cli calls Run. When the process begins and ends is
// internal/network/dns's to say.
package server
