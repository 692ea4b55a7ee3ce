//go:build !linux

package atomicdir_test

import "testing"

// scratch is a directory for tests that write much.
func scratch(t *testing.T) string { return t.TempDir() }
