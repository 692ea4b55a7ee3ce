// Command bench measures the running program and prints one table: what, the
// figure, its budget, figure ÷ budget, and the baseline of the same run.
//
//	go run ./test/bench [-only REGEXP] [-rounds N] [-pods N] [-json FILE]
//
// It owns measuring only. test/system builds, starts and removes the program; what
// must hold is checked in test/compat, never here: a figure over its budget is
// marked, not an error. Everything that runs is removed at the end, also on SIGINT.
package main
