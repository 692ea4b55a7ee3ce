// Package picture works out what `laterna top` shows of pods: how far their volumes follow
// their sources, how long their tokens live, and what happened last.
//
// It owns those decisions and how times are said, as pure functions of what the API has
// told; the page at /projections/ decides the same in internal/webui/projections. Asking
// the API lives in internal/top/watched, drawing in internal/top. All texts of its results
// are fit for terminals.
package picture
