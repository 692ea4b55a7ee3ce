//go:build !unix

package bounded

// nonblock is nothing where no name in a directory can be a pipe.
const nonblock = 0
