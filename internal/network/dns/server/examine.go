package server

import (
	"context"
	"net"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

// maxQuestion bounds a question of whoever has started the process, in bytes.
const maxQuestion = 512

// examine answers whoever has started the process, one question after another and the same
// way as anybody else, until the connection ends.
func (s *server) examine(ctx context.Context, conn net.Conn) {
	ctx = context.WithValue(context.WithValue(ctx, dnsserver.Key{}, s.Server), dnsserver.LoopKey{}, 0)
	buffer := make([]byte, maxQuestion)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		question := new(dns.Msg)
		if question.Unpack(buffer[:n]) == nil {
			s.ServeDNS(ctx, examiner{conn}, question)
		}
	}
}

// examiner is the dns.ResponseWriter of a question by that connection, which is of this
// machine.
type examiner struct{ conn net.Conn }

var _ dns.ResponseWriter = examiner{}

// LocalAddr implements dns.ResponseWriter.
func (examiner) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// RemoteAddr implements dns.ResponseWriter.
func (e examiner) RemoteAddr() net.Addr { return e.LocalAddr() }

// WriteMsg implements dns.ResponseWriter.
func (e examiner) WriteMsg(m *dns.Msg) error {
	raw, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = e.Write(raw)
	return err
}

// Write implements dns.ResponseWriter.
func (e examiner) Write(raw []byte) (int, error) { return e.conn.Write(raw) }

// Close implements dns.ResponseWriter.
func (examiner) Close() error { return nil }

// TsigStatus implements dns.ResponseWriter.
func (examiner) TsigStatus() error { return nil }

// TsigTimersOnly implements dns.ResponseWriter.
func (examiner) TsigTimersOnly(bool) {}

// Hijack implements dns.ResponseWriter.
func (examiner) Hijack() {}
