package swagger

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"laterna.dev/laterna/test/tools/browser"
)

// form is an operation as the page shows it.
type form struct {
	*browser.Page
	id string
}

// open opens an operation and makes it a form.
func open(p *browser.Page, tag, operation string) form {
	f := form{p, "#operations-" + tag + "-" + operation}
	p.Click(f.id + " .opblock-summary-control")
	p.Click(f.id + " .try-out__btn")
	return f
}

// fill fills the fields of parameters, given as names and values, and the body where it is
// not empty, which is how the page has it.
func (f form) fill(body string, parameters ...string) {
	for i := 0; i < len(parameters); i += 2 {
		f.Fill(fmt.Sprintf("%s tr[data-param-name=%q] input", f.id, parameters[i]), parameters[i+1])
	}
	if body != "" {
		f.Fill(f.id+" textarea.body-param__text", body)
	}
}

// execute sends the request, and returns the status and the text of the answer.
func (f form) execute() (code, answer string) {
	f.Click(f.id + " .execute")
	code = f.See(f.id + " .live-responses-table tbody .response-col_status")
	return strings.TrimSpace(code), f.See(f.id + " .live-responses-table tbody .response-col_description")
}

// read reads an object around the page.
func read(t *testing.T, path string) (code int, object struct {
	Metadata struct{ Labels map[string]string }
	Data     map[string]string
}) {
	t.Helper()
	resp, err := http.Get(browser.Server(t) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(raw, &object)
	return resp.StatusCode, object
}

// allAreFit makes the documents of all groups fit for forms, in the browser, and looks for
// what a form could not send.
func allAreFit(t *testing.T, p *browser.Page) {
	t.Helper()
	faults := browser.Eval[[]string](p, `(async () => {
  const { fit } = await import(new URL("fit.js", document.baseURI));
  const index = await (await fetch("../openapi/v3")).json();
  const faults = [];
  for (const group of Object.values(index.paths)) {
    const doc = fit(await (await fetch(".." + group.serverRelativeURL)).json());
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        const bodies = Object.entries(operation.requestBody?.content ?? {});
        for (const [type, body] of bodies) {
          if (!/^application\/([a-z-]+\+)?(json|yaml)$/.test(type) || body.example === undefined) {
            faults.push(verb + " " + path + " takes " + type + ": " + JSON.stringify(body.example));
          }
        }
        if (operation.tags?.length !== 1 || !operation.summary) {
          faults.push(verb + " " + path + " stands under " + operation.tags + ", does " + operation.summary);
        }
      }
    }
  }
  return faults;
})()`)
	for _, f := range faults {
		t.Error(f)
	}
}

// TestAPIIsTriedOut lists the groups of the API, and makes, changes and deletes a ConfigMap
// by the forms of the page.
func TestAPIIsTriedOut(t *testing.T) {
	server := browser.Server(t)
	p := browser.Start(t).Open(t, server+"/swagger-ui")
	p.Size(900, 640)
	p.See("#operations-tag-configmaps")
	groups := browser.Eval[[]string](p, `[...document.querySelectorAll("#select option")].map(o => o.textContent)`)
	if len(groups) < 15 || groups[0] != "core/v1" || !slices.Contains(groups, "apps/v1") || !slices.Contains(groups, "projection.laterna.dev/v1alpha1") {
		t.Errorf("the page offers %q", groups)
	}
	resources := browser.Eval[[]string](p, `[...document.querySelectorAll(".opblock-tag")].map(o => o.dataset.tag)`)
	if !slices.Contains(resources, "pods") || !slices.Contains(resources, "namespaces") || !slices.Contains(resources, "secrets") {
		t.Errorf("of the core group the page lists %q", resources)
	}
	p.Accessible()
	p.Click("#operations-tag-configmaps")

	allAreFit(t, p)

	const name, object = "made-in-a-browser", "/api/v1/namespaces/default/configmaps/made-in-a-browser"
	create := open(p, "configmaps", "createCoreV1NamespacedConfigMap")
	if body := browser.Eval[string](p, fmt.Sprintf("document.querySelector('%s textarea.body-param__text').value", create.id)); !strings.Contains(body, `"kind": "ConfigMap"`) || strings.Contains(body, "managedFields") {
		t.Errorf("the form of a new object begins with\n%s", body)
	}
	create.fill(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "` + name + `"}, "data": {"key": "value"}}`)
	if code, answer := create.execute(); code != "201" || !strings.Contains(answer, name) {
		t.Errorf("creating: %s\n%s", code, answer)
	}
	if code, o := read(t, object); code != http.StatusOK || o.Data["key"] != "value" {
		t.Errorf("after it was created: %d %v", code, o)
	}

	patch := open(p, "configmaps", "patchCoreV1NamespacedConfigMap")
	if pictures := os.Getenv("LATERNA_PICTURES"); pictures != "" {
		p.Screenshot(pictures + "/swagger-ui.png")
	}
	patch.fill("", "name", name)
	if code, answer := patch.execute(); code != "200" {
		t.Errorf("patching: %s\n%s", code, answer)
	}
	if _, o := read(t, object); o.Metadata.Labels["example"] != "true" {
		t.Errorf("after it was patched: %v", o)
	}

	remove := open(p, "configmaps", "deleteCoreV1NamespacedConfigMap")
	remove.fill("", "name", name)
	if code, answer := remove.execute(); code != "200" {
		t.Errorf("deleting: %s\n%s", code, answer)
	}
	if code, _ := read(t, object); code != http.StatusNotFound {
		t.Errorf("after it was deleted: %d", code)
	}
	p.Quiet()
}
