// Package browser lets a test look at pages as a person does: with a real browser, by
// clicking and typing, and with axe-core's eyes for what people cannot use.
//
// It owns the browser and what is asked of every page: no request leaves the server that
// the page is from, nothing is said on the console, axe-core finds nothing. What a page is
// to do is said by the packages beside it, one a page; test/compat starts the systems that
// they look at. The module is apart from the program's, whose go.mod knows no browser.
package browser
