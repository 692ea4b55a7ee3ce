// Package top is `laterna top`: what pods have loaded, in a terminal.
//
// It owns what is drawn and which keys do what, and the library that draws. What is shown
// is worked out in internal/top/picture, from what internal/top/watched keeps up to date.
package top
