// Package projections is the inspector: the page at /projections/ that shows what pods
// have loaded, how long their tokens live, and who issues them.
//
// It owns the page's files, which are in the program, how they are served, and the time
// that the page goes by. The page asks the API in the browser, with the rights of whoever
// looks at it; nothing of the API passes through here. What it shows is written by the
// agents (internal/volumes/podprojection) and made up by internal/registry; the same
// picture in a terminal is internal/top.
//
// The files are plain modules and styles without a build step. Every address in them is
// relative, so that the page works behind a proxy at any prefix, and whatever the API
// says is put into the page as text.
package projections
