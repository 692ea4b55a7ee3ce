// Shows the documents of /openapi/v3, one a group of the API, and makes each fit to be
// tried out before Swagger UI reads it.
import { deprecated, fit } from "./fit.js";

// A proxy may show the server below a path of its own.
const root = new URL("..", document.baseURI);

// The groups of which each has a document, core first. What only lists groups and versions
// ("apis", "apis/apps") comes last: it is rarely what one looks for.
function documents(index) {
  return Object.keys(index.paths)
    .map((path) => {
      const [, group, version] = /^(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path) ?? [];
      const rank = path === "api/v1" ? 0 : version ? 1 : 2;
      const name = path === "api/v1" ? "core/v1" : version ? `${group}/${version}` : `/${path}`;
      // The hash in the address that the index gives lets browsers keep the document.
      const address = new URL(index.paths[path].serverRelativeURL.replace(/^\//, ""), root);
      return { rank, name, url: address.href };
    })
    .sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name));
}

// Requests of paths of the API go below the path at which a proxy shows the server.
function request(req) {
  const url = new URL(req.url, root);
  if (!req.loadSpec && url.origin === root.origin && !url.pathname.startsWith(root.pathname)) {
    url.pathname = root.pathname + url.pathname.replace(/^\//, "");
    req.url = url.href;
  }
  return req;
}

function response(res) {
  if (res.ok && new URL(res.url, root).pathname.startsWith(root.pathname + "openapi/v3/")) {
    try {
      res.text = JSON.stringify(fit(JSON.parse(res.text)));
    } catch (problem) {
      console.error("the document is shown as it is:", problem);
    }
  }
  return res;
}

// The library's logo has styles inside, and the address of a document is that of any other
// but for a long hash.
const head = ({ React }) => ({
  components: {
    Logo: () => React.createElement("h1", { className: "logo" }, "Laterna"),
    InfoUrl: () => null,
  },
});

async function show() {
  const index = await fetch(new URL("openapi/v3", root), { headers: { Accept: "application/json" } });
  if (!index.ok) {
    throw new Error(`${index.status} ${index.statusText}: ${await index.text()}`);
  }
  const urls = documents(await index.json());
  window.ui = SwaggerUIBundle({
    dom_id: "#swagger-ui",
    urls,
    "urls.primaryName": urls[0].name,
    layout: "StandaloneLayout",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    deepLinking: true,
    docExpansion: "none",
    // Models refer to each other many times over: to draw all of them takes long.
    defaultModelsExpandDepth: -1,
    filter: true,
    tagsSorter: (a, b) => (a === deprecated) - (b === deprecated) || a.localeCompare(b),
    plugins: [head],
    validatorUrl: null,
    requestInterceptor: request,
    responseInterceptor: response,
  });
}

show().catch((problem) => {
  const text = document.createElement("p");
  text.className = "problem";
  text.setAttribute("role", "alert");
  text.textContent = `The API's description cannot be read from ${root}openapi/v3. ${problem.message}`;
  document.querySelector("#swagger-ui").replaceChildren(text);
});
