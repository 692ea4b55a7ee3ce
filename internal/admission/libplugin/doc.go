// Package libplugin has what the admission plugins of the library (k8s.io/apiserver) need to
// work here, whatever they decide: how objects are converted, and which resources are not
// for them.
//
// The plugins themselves are made by the packages beside this one.
package libplugin
