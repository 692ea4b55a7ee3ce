// Package dns keeps the cluster's DNS running for the pods of one node: it opens the sockets
// on the address that pods can reach, and runs a server in a process of its own that is given
// them. The server may end whenever it likes: questions wait in the sockets for the next one.
//
// It owns the sockets, the life of that process, and what it is told (Settings). What answers
// is CoreDNS, in network/dns/server; which address pods ask, and what of the machine's resolver
// they get, is internal/node/runspec's; packets to the service kube-dns are led here by
// network/plane.
package dns
