// Package launch starts a program that outlives this one the way a service manager
// would: nothing that this process has from whoever started it reaches the program, or
// what the program starts in turn.
//
// What would be inherited, and how it is cut off:
//
//   - umask, priorities, processors, memory policy, personality, blocked signals, groups
//     and keyring belong to a thread; the program is started from a thread of its own that
//     has a service's values and ends afterwards (thread.go).
//   - limits, ignored signals, the OOM score and the switch for huge pages belong to the
//     whole process; they have a service's values for the moment of the start, and this
//     process's own before and after (limits.go, process.go).
//   - descriptors are marked to be closed (descriptors.go); session, terminal, working
//     directory, standard streams and environment are given anew (launch.go).
//
// What cannot be undone without a privilege that is missing is told by Start. What stays
// as it is by design: namespaces, the root directory, the bounding set of capabilities
// and the control group.
//
// Of what this process keeps for itself StandAlone undoes what would hinder its own work.
package launch
