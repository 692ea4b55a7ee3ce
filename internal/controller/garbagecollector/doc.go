// Package garbagecollector deletes objects whose owners are gone, keeps owners that are
// deleted in the foreground until what they own is gone, and frees what an owner that is
// deleted as an orphanage leaves behind.
//
// It sees every kind that can be listed, watched and deleted, in caches that are there for
// other controllers or by watches of metadata, but keeps no objects: a graph of who owns whom, one small node an object (graph.go, identity.go). What is to be
// done with an object is decided from its live owner references (decide.go, reconcile.go),
// and done with preconditions (objects.go). Everything that waits is found in the objects
// themselves (finalizers, deletion timestamps, references to owners that are not there),
// so a restart loses nothing.
//
// Which finalizer a DELETE sets is decided by the library's store; what a kind's DELETE
// does by default is resource.Rules.Dependents.
package garbagecollector
