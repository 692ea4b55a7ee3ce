package dns

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"

	"laterna.dev/laterna/internal/bounded"
)

// Settings is what a server is told. It has a key in it: it goes through a pipe, and never
// stands in arguments, the environment or a file.
type Settings struct {
	// Domain is that of the cluster.
	Domain string
	// URL is where the API answers, CA the bundle that vouches for it; Cert and Key are as
	// whom the server reads there. All three are PEM.
	URL           string
	CA, Cert, Key []byte
	// Upstreams are asked for what is not of the cluster; where there are none such names
	// cannot be resolved.
	Upstreams []netip.AddrPort
	// Pods may ask, and this machine itself; nobody else is answered.
	Pods netip.Prefix
}

// The descriptors that a server begins with, besides its standard input: settings come
// there, and its end tells that whoever started the server is gone.
const (
	fdTCP = 3 + iota
	fdUDP
	fdReady
	fdPulse
)

// maxSettings bounds what a server reads, in bytes: certificates and a few addresses.
const maxSettings = 1 << 20

// write writes settings as ReadSettings reads them: their length, and JSON.
func (s Settings) write(w io.Writer) error {
	told, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(told))), told...))
	return err
}

// ReadSettings reads what a server is told first; its input goes on after that.
func ReadSettings(r io.Reader) (s Settings, err error) {
	var length [4]byte
	var told []byte
	if _, err = io.ReadFull(r, length[:]); err == nil {
		told, err = bounded.Beginning(r, min(int64(binary.BigEndian.Uint32(length[:])), maxSettings))
	}
	if err == nil {
		err = json.Unmarshal(told, &s)
	}
	if err != nil {
		return s, fmt.Errorf("reading the settings of cluster DNS: %w", err)
	}
	return s, nil
}

// Inherited returns the sockets that a server was started with, what it writes a byte
// to and closes once it answers, and by what it is asked from then on whether it does.
func Inherited() (tcp, udp, ready, pulse *os.File) {
	return os.NewFile(fdTCP, "tcp"), os.NewFile(fdUDP, "udp"), os.NewFile(fdReady, "ready"), os.NewFile(fdPulse, "pulse")
}
