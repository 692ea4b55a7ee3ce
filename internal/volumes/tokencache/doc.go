// Package tokencache keeps the service account tokens of a node's pods fresh.
//
// It owns asking the API for a token (TokenRequest), the moment of its refresh, and
// what happens when a refresh fails or the clock is set. Refreshing is done by timers,
// never by a period, and whoever shows tokens to pods is told of a new one at once.
// Writing tokens into files lives in internal/volumes/place; nothing here touches a disk.
package tokencache
