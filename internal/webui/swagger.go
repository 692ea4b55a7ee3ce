package webui

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/swaggest/swgui/v5/static"
)

// SwaggerPath is where Swagger UI is.
const SwaggerPath = "/swagger-ui/"

//go:embed swagger
var own embed.FS

// Swagger answers at SwaggerPath, below it and without its slash: with Swagger UI, which
// shows the documents of /openapi/v3 and tries out what they describe. The library has
// packed its files; the page around them, with what makes the API's descriptions fit to be
// tried out, is ours.
func Swagger() http.Handler {
	page := page{path: SwaggerPath}
	// Sub fails for names that are no paths alone.
	if folder, err := fs.Sub(own, "swagger"); err == nil {
		page.folders = []fs.FS{folder, static.FS}
	}
	return secured(page)
}
