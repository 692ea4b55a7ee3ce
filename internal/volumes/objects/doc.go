// Package objects keeps the Secrets and ConfigMaps that the pods of a node refer to.
//
// It owns one list and watch per referenced object, selected by metadata.name, which
// is all that a node may read; there is no cluster-wide list, no polling and no
// resync. Whoever refers to an object is told at once when it appears, changes or
// goes. What is done with a change lives in internal/volumes/place; env values are
// read at the start of a container by internal/node/env.
package objects
