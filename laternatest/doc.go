// Package laternatest runs the real system inside a Go test: store, API server and
// controllers, and with [Config.Node] a node that runs containers. Nothing is faked, and it
// is ready in a fraction of a second.
//
//	func TestRobotMayReadSecrets(t *testing.T) {
//		system := laternatest.Start(t, laternatest.Config{})
//		system.Client().CoreV1().Secrets("default")…
//		system.Advance(time.Hour) // tokens are an hour older now
//	}
//
// Every system is alone: it has a data directory, a port and certificates of its own, and
// the test's end removes all of it. Several run beside each other in one process, in
// parallel tests, too. What they share is what belongs to the process: the metrics that
// libraries keep, of which each /metrics shows the sum, and klog, which the first start
// sets to write the warnings and errors of libraries to standard error. A node makes its
// volumes with the process's umask, which should be 022. A test program that is killed
// leaves its systems behind in the directory for temporary files; `laterna down --purge
// --data-dir` removes each.
//
// It runs on Linux.
//
// It owns starting and removing; the system itself is put together in internal/app/up. A system
// in a process of its own is the command `laterna up`.
package laternatest
