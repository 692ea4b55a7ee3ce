// Package config is what a system is told: by flags, by the file that --config names, and
// by default.
//
// It owns the form of the file and what is wrong with values in themselves. Flags are bound
// in internal/cli; what the values lead to lives in the packages of internal/app beside
// this one.
package config
