// Package bridge lays out the pod network of one node: a subnet that no route of the
// machine uses, the bridge with its gateway address, and the configuration by which
// the CNI plugins connect pods to it.
//
// The bridge itself is made by the bridge plugin with the first pod, or by Make; its gateway
// address is known, and can be listened on, before. When somebody removes it, Repair
// makes it again and connects the pods to it. Addresses of services, and what
// happens to packets that leave the subnet, live in network/services; ports of the machine
// that lead to pods in network/hostports.
package bridge
